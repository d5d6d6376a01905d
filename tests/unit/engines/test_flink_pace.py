"""How far ahead a job without an end plans on Flink."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.engines.flink.pace import COMPLETE, Pace
from common.runtime.run import Run
from common.runtime.spec import JobSpec

STEPS = 5


def test_it_is_told_by_whoever_completes_a_turn(tmp_path: Path) -> None:
    planner, completer = Pace(tmp_path), Pace(tmp_path)
    assert planner.complete(7) == 7
    completer.tell(8)
    assert planner.complete(7) == 8


def test_what_an_earlier_run_told_is_forgotten(tmp_path: Path) -> None:
    Pace(tmp_path).tell(8)
    Pace(tmp_path).begin()
    assert Pace(tmp_path).complete(0) == 0
    assert not (tmp_path / COMPLETE).exists()


def test_a_step_waits_for_the_last_but_one(tmp_path: Path) -> None:
    pytest.importorskip("pyflink", reason="Flink has an environment of its own")
    from common.engines.flink.sources import AHEAD, BUNDLE, PlanSteps

    run = _endless(tmp_path)
    pace, planner = Pace(run.spec.workplace), PlanSteps(run, run.resume())

    def planned() -> list[int]:
        ticks = AHEAD * (BUNDLE + 1) + 3
        return sorted({unit.turn.step for tick in range(ticks) for unit in planner.flat_map(tick)})

    assert planned() == [0, 1]
    assert planned() == []
    pace.tell(1)
    assert planned() == [2]
    pace.tell(3)
    assert planned() == [3, 4]


def _endless(folder: Path) -> Run:
    for stream in ("ad-views", "ad-clicks"):
        (folder / "in" / stream).mkdir(parents=True)
        for step in range(STEPS):
            event = {"key": "ann", "value": {"advertisementId": 1, "createdEventTime": step}}
            (folder / "in" / stream / f"{step}.jsonl").write_text(json.dumps(event) + "\n")
    places = (str(folder / name) for name in ("in", "out", "kept"))
    return Run.open(JobSpec("sessions", "flink", "stream", *places, settings={"buckets": 4}))
