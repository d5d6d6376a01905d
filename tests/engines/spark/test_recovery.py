"""`kill -9` at any moment, and the rerun at another parallelism: the same table, late events and dead letters."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines.launch import launch
from common.engines.spark.submit import unavailable
from common.runtime.spec import JobSpec
from tests.engines.spark.conftest import answer, beside, run, write_random
from tests.running import kill, started

pytestmark = [
    pytest.mark.spark,
    pytest.mark.recovery,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

PATIENCE = 120
DYING = Path(__file__).with_name("dying.py")


def with_parallelism(spec: JobSpec, parallelism: int) -> JobSpec:
    return replace(spec, settings={**spec.settings, "parallelism": parallelism})


def delivered(spec: JobSpec) -> int:
    """How many steps the outputs hold; each step of `write_random` has dead letters."""
    return len({path.name.split(".")[0] for path in Path(spec.output, "dead-letters").glob("*.jsonl")})


@pytest.mark.parametrize("moment", ["staged", "delivered"])
def test_a_run_that_dies_before_its_checkpoint_takes_the_step_again(spec: JobSpec, moment: str) -> None:
    write_random(spec.input, range(5))
    dying = replace(spec, drain=True)
    child = started(dying, DYING, DIE=f"{moment}:3")
    assert child.wait(PATIENCE) == -signal.SIGKILL
    assert delivered(dying) == (4 if moment == "delivered" else 3)
    summary = launch(with_parallelism(dying, 1), lambda _: None)
    reference = beside(dying)
    assert summary.metrics == run(reference).metrics
    assert answer(dying) == answer(reference)


def test_a_run_killed_at_random_moments_gives_the_same_table(spec: JobSpec) -> None:
    steps = 20
    write_random(spec.input, range(steps))
    whole = replace(spec, drain=True)
    rng = random.Random(7)
    for parallelism in (2, 1):
        seen = delivered(whole)
        child = started(with_parallelism(whole, parallelism))
        deadline = time.monotonic() + PATIENCE
        while delivered(whole) <= seen + 2:
            assert child.poll() is None and time.monotonic() < deadline, f"ended after {delivered(whole)} steps"
            time.sleep(0.01)
        time.sleep(rng.random())
        kill(child)
    assert delivered(whole) < steps
    summary = launch(with_parallelism(whole, 3), lambda _: None)
    reference = beside(whole)
    assert summary.metrics == run(reference).metrics
    assert answer(whole) == answer(reference)
