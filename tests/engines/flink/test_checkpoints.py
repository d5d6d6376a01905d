"""Stopping and going on: between engines by the suite's checkpoint, after a kill by Flink's own."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import AdstreamError
from common.runtime.checkpoint import Checkpoint
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from tests.engines.flink.conftest import Killed, answer, end_on, first_step, run, write_steps
from tests.running import kill, started

pytestmark = pytest.mark.flink

PATIENCE_SECONDS = 180
OFTEN = {"execution.checkpointing.interval": "200 ms", "execution.checkpointing.min-pause": "50 ms"}


def test_a_job_moves_from_engine_to_engine(spec: JobSpec) -> None:
    steps = Path(spec.input)
    for upto, engine in ((3, "local"), (6, "flink"), (9, "local")):
        write_steps(steps, range(upto))
        run(replace(spec, engine=engine))
    summary = run(replace(spec, drain=True))
    reference = end_on("local", replace(spec, drain=True))
    assert summary.metrics == run(reference).metrics
    assert answer(spec) == answer(reference)


@pytest.mark.parametrize("changed", [{"gap": "1h"}, {"buckets": 4}])
def test_a_checkpoint_of_other_parameters_is_refused(spec: JobSpec, changed: dict[str, str | int]) -> None:
    write_steps(Path(spec.input), range(1))
    run(replace(spec, engine="local"))
    with pytest.raises(AdstreamError, match=rf"made with (sessions\.)?{next(iter(changed))}="):
        run(replace(spec, settings={**spec.settings, **changed}))


@pytest.mark.recovery
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_a_killed_run_goes_on_at_another_parallelism(spec: JobSpec, before: int, after: int) -> None:
    write_steps(Path(spec.input), range(150), events=20)
    killed = replace(spec, drain=True, options=OFTEN, settings={**spec.settings, "parallelism": before})
    delivered = Killed(killed).when(steps=40)
    summary = run(replace(killed, settings={**spec.settings, "parallelism": after}))
    reference = end_on("local", replace(killed, options={}))
    assert 40 <= delivered < 150
    assert first_step(killed) > 0, "Flink's checkpoint was not used"
    assert summary.metrics == run(reference).metrics
    assert answer(killed) == answer(reference)


@pytest.mark.recovery
def test_a_job_that_is_let_begin_anew_begins_anew(spec: JobSpec) -> None:
    write_steps(Path(spec.input), range(150), events=20)
    killed = replace(spec, drain=True, options=OFTEN)
    Killed(killed).when(steps=40)
    before = Run.open(killed)
    before.sink.clear()
    before.checkpoint.clear(before.spec.workplace)
    summary = run(killed)
    reference = end_on("local", replace(killed, options={}))
    assert first_step(killed) == 0, "what Flink had kept was used"
    assert summary.metrics == run(reference).metrics
    assert answer(killed) == answer(reference)


@pytest.mark.recovery
def test_what_a_killed_run_left_another_engine_takes_again(spec: JobSpec) -> None:
    write_steps(Path(spec.input), range(150), events=20)
    killed = replace(spec, drain=True, options=OFTEN)
    Killed(killed).when(steps=40)
    run(replace(killed, engine="local", options={}))
    reference = end_on("local", replace(killed, options={}))
    run(reference)
    assert answer(killed) == answer(reference)


def test_a_job_that_waits_for_input_saves_what_it_has_taken(spec: JobSpec, tmp_path: Path) -> None:
    often = {**spec.settings, "checkpoint": {"interval": "500ms"}}
    followed = replace(spec, until_caught_up=False, settings=often)
    write_steps(Path(spec.input), range(4))
    client = started(followed)
    try:
        _saved(spec, client, 4)
        for path in sorted((write_steps(tmp_path / "later", range(4, 9)) / "ad-views").iterdir()):
            path.replace(Path(spec.input, "ad-views", path.name))
        _saved(spec, client, 9)
    finally:
        kill(client)
    run(replace(spec, engine="local", drain=True))
    reference = end_on("local", replace(spec, drain=True))
    run(reference)
    assert answer(spec) == answer(reference)


def _saved(spec: JobSpec, client: subprocess.Popen[bytes], steps: int) -> None:
    """Waits until the suite's checkpoint is behind so many steps."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ((kept := Checkpoint(Path(spec.checkpoint)).load()) is None) or kept.step < steps:
        assert client.poll() is None and time.monotonic() < deadline, kept and kept.step
        time.sleep(0.1)
