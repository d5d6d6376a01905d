from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common.operators.step import BEGINNING
from common.runtime.checkpoint import METRICS, Checkpoint, Manifest
from common.runtime.clock import Clock
from common.runtime.metrics import Metrics
from common.streams.folder import Position
from common.topology.plan import compile_plan
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology

PLAN = compile_plan(topology(Settings()))
CLOCK = Clock.start(("views",), 0)


def manifest(step: int, arrived: int) -> Manifest:
    start = Manifest.start(PLAN, CLOCK, 2)
    clock = CLOCK.observe({"views": 100}, arrived)
    return replace(start, step=step, clock=clock, position=Position({"views": step}), counters={"late": 3})


def test_counters_and_gauges_are_told_apart() -> None:
    after = Metrics().after(manifest(1, 0), {"late": 3, "sessions_open": 7}, now=5)
    assert (after.counters, after.gauges) == ({"late": 3}, {"sessions_open": 7})
    assert (after.steps, after.watermark, after.position.counts) == (1, 99, {"views": 1})


def test_a_step_that_waited_for_records_is_timed_from_their_arrival() -> None:
    first = Metrics().after(manifest(1, arrived=10_000), {}, now=10_500)
    assert first.step_seconds == 0.5
    second = first.after(manifest(2, arrived=60_000), {}, now=61_250)
    assert (second.step_seconds, second.busy_seconds) == (1.25, 1.25)


def test_a_step_whose_records_waited_is_timed_from_the_step_before() -> None:
    first = Metrics().after(manifest(1, arrived=0), {}, now=10_000)
    assert first.after(manifest(2, arrived=1_000), {}, now=10_750).step_seconds == 0.75


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    after = Metrics().after(manifest(1, 0), {"late": 3, "sessions_open": 7}, now=5)
    after.save(tmp_path / "kept")
    assert Metrics.load(tmp_path / "kept") == after
    Checkpoint(tmp_path / "kept").clear(tmp_path / "kept")
    assert Metrics.load(tmp_path / "kept") == Metrics()


def test_before_the_first_step_there_is_nothing(tmp_path: Path) -> None:
    assert Metrics.load(tmp_path) == Metrics()
    assert Metrics().watermark == BEGINNING


def test_what_another_version_left_is_as_nothing(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text('{"steps": 3, "of_old": 1}')
    assert Metrics.load(tmp_path) == Metrics()
