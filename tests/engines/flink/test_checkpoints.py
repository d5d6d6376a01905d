"""Stopping and going on: between engines by the suite's checkpoint, after a kill by Flink's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import AdstreamError
from common.runtime.spec import JobSpec
from tests.engines.flink.conftest import Killed, answer, end_on, first_step, run, write_steps

pytestmark = pytest.mark.flink

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
def test_what_a_killed_run_left_another_engine_takes_again(spec: JobSpec) -> None:
    write_steps(Path(spec.input), range(150), events=20)
    killed = replace(spec, drain=True, options=OFTEN)
    Killed(killed).when(steps=40)
    run(replace(killed, engine="local", options={}))
    reference = end_on("local", replace(killed, options={}))
    run(reference)
    assert answer(killed) == answer(reference)
