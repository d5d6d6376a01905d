"""Random runs against the oracle, step by step: many on the local engine, one with restarts on every engine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from common.engines.local.translate import run
from common.engines.registry import ENGINES
from tests.conformance.answers import Exercise, answer
from tests.conformance.jobs.anomalies import ANOMALIES, Found
from tests.conformance.jobs.billing import BILLING
from tests.conformance.jobs.engagements import Engaged
from tests.conformance.jobs.eventification import Promoted
from tests.conformance.kit import Ending, check
from tests.conformance.outcome import read_outcome
from tests.conformance.plays import PARALLELISMS, PLAYS, runs
from tests.conformance.random_runs import random_case, random_catalogue
from tests.conformance.runners import InProcess, Worker

SESSION_KINDS = ("session-length", "no-pause")
STEPS = 50
STOPS = (7, 18, 19, 34, STEPS)
"""After how many steps the job is stopped, each time to go on in a process of its own."""


def test_random_runs_hold_what_they_are_for() -> None:
    """Corrections, late events and copies, or the runs would show nothing."""
    cases = [random_case(seed, STEPS, events=6) for seed in range(10)]
    for case in cases:
        assert sum(len(step.late) for step in case.steps) > 5
        assert sum(len(step.out) for step in case.steps) > 50
    assert sum(change.actions is None for case in cases for step in case.steps for change in step.out) > 100


@pytest.mark.parametrize(("seed", "play"), [*((seed, "straight") for seed in range(10)), (10, "rescaled")])
def test_a_random_run_on_the_local_engine(seed: int, play: str, tmp_path: Path) -> None:
    exercise = Exercise(random_case(seed, STEPS, events=6), PLAYS[play])
    exercise.check(answer(InProcess("local", run), exercise, tmp_path))


@pytest.mark.parametrize(("seed", "play"), [*((seed, "straight") for seed in range(5)), (10, "rescaled")])
def test_a_random_run_of_billing_on_the_local_engine(seed: int, play: str, tmp_path: Path) -> None:
    case = random_case(seed, STEPS, events=6, job=BILLING)
    changes = [change for step in case.steps for change in step.out if isinstance(change, Engaged)]
    assert len(changes) > 20 and len({change.ad for change in changes}) > 2, "or it would show nothing"
    exercise = Exercise(case, PLAYS[play])
    exercise.check(answer(InProcess("local", run), exercise, tmp_path))


def test_random_runs_of_anomalies_hold_what_they_are_for() -> None:
    """Findings of every kind, and some that are taken back."""
    cases = [random_case(seed, STEPS, events=15, job=ANOMALIES) for seed in range(5)]
    found = [change for case in cases for step in case.steps for change in step.out if isinstance(change, Found)]
    assert min(Counter(change.kind for change in found).values()) > 5
    assert {change.kind for change in found if not change.gone} == {"click-rate", "click-through", *SESSION_KINDS}
    assert sum(change.gone for change in found) > 20


@pytest.mark.parametrize(("seed", "play"), [*((seed, "straight") for seed in range(5)), (10, "rescaled")])
def test_a_random_run_of_anomalies_on_the_local_engine(seed: int, play: str, tmp_path: Path) -> None:
    exercise = Exercise(random_case(seed, STEPS, events=15, job=ANOMALIES), PLAYS[play])
    exercise.check(answer(InProcess("local", run), exercise, tmp_path))


@pytest.mark.parametrize(("seed", "play"), [*((seed, "straight") for seed in range(5)), (10, "rescaled")])
def test_a_random_run_of_eventification_on_the_local_engine(seed: int, play: str, tmp_path: Path) -> None:
    case = random_catalogue(seed, STEPS, rows=4)
    changes = [change for step in case.steps for change in step.out if isinstance(change, Promoted)]
    assert sum(change.customer is not None for change in changes) > 10, "or it would show nothing"
    assert any(change.gone for change in changes)
    exercise = Exercise(case, PLAYS[play])
    exercise.check(answer(InProcess("local", run), exercise, tmp_path))


@pytest.mark.recovery
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "engine",
    [pytest.param(engine, marks=[] if engine == "local" else getattr(pytest.mark, engine)) for engine in ENGINES],
)
def test_a_random_run_in_processes_that_end_between_steps(engine: str, tmp_path: Path) -> None:
    """Each process goes on from what the one before left, at another parallelism."""
    runner = Worker(engine)
    reason = runner.unavailable()
    if reason is not None:
        pytest.skip(reason)
    case = random_case(2024, STEPS, events=6)
    ends = [*((stop, False) for stop in STOPS), (STEPS, True)]
    for number, spec in enumerate(runs(case, engine, tmp_path, "stream", ends, PARALLELISMS)):
        runner.run([spec], tmp_path / f"process-{number}", timeout=120)
    check(case, read_outcome(tmp_path / "output", case.job), Ending.of(case))
