"""The checkpoint is the suite's: kept between runs, engines and parallelisms, and refused when it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import AdstreamError, ExitCode
from common.runtime.checkpoint import Checkpoint
from common.runtime.spec import JobSpec
from tests.engines.spark.conftest import answer, beside, line, run, write, write_random

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark")]


def test_a_job_moves_between_engines_and_parallelisms(spec: JobSpec) -> None:
    for upto, engine, parallelism in ((2, "local", 1), (4, "spark", 2), (5, "local", 2), (7, "spark", 3)):
        write_random(spec.input, range(upto))
        run(replace(spec, engine=engine, settings={**spec.settings, "parallelism": parallelism}))
    summary = run(replace(spec, drain=True))
    reference = beside(replace(spec, drain=True))
    assert summary.metrics == run(reference).metrics
    assert answer(spec) == answer(reference)


@pytest.mark.parametrize("changed", [{"gap": "1h"}, {"buckets": 4}])
def test_a_checkpoint_of_other_parameters_is_refused(spec: JobSpec, changed: dict[str, str | int]) -> None:
    write_random(spec.input, range(1))
    run(replace(spec, engine="local"))
    with pytest.raises(AdstreamError, match=rf"made with (sessions\.)?{next(iter(changed))}=") as refused:
        run(replace(spec, settings={**spec.settings, **changed}))
    assert refused.value.code is ExitCode.REFUSED


def test_only_buckets_that_were_touched_or_are_due_are_written(spec: JobSpec) -> None:
    write(spec.input, "0", [line("a", 0)], [line("c", 0)])  # buckets 3 and 1 of 8
    run(spec)
    first = set(Checkpoint(spec.checkpoint).load().files())
    write(spec.input, "1", [line("a", 1)], [line("a", 1)])
    run(spec)
    second = set(Checkpoint(spec.checkpoint).load().files())
    assert len(first) == len(second) == 2
    assert len(first & second) == 1
    assert {path for path in second - first if path.startswith("state/000000001/")} == second - first


def test_the_query_leaves_no_checkpoint_of_its_own(spec: JobSpec) -> None:
    left = Path(spec.checkpoint, "spark", "of-a-killed-run", "offsets")
    left.mkdir(parents=True)
    write_random(spec.input, range(2))
    run(spec)
    assert sorted(path.name for path in Path(spec.checkpoint).iterdir()) == [
        "begun",
        "manifest.json",
        "metrics.json",
        "state",
        "steps.jsonl",
    ]
