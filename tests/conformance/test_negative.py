"""The kit must fail a wrong engine, on the case that is there for it, and say why."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from tests.conformance import flaws, flaws_of_anomalies, flaws_of_engagements, flaws_of_eventification
from tests.conformance.answers import Exercise, answer, exercises_of
from tests.conformance.flaws import Flaw
from tests.conformance.kit import ConformanceError
from tests.conformance.loader import load_cases
from tests.conformance.runners import InProcess

EXERCISES = {exercise.name: exercise for exercise in exercises_of(load_cases())}
FLAWS = (
    *flaws.FLAWS,
    *flaws_of_engagements.FLAWS,
    *flaws_of_anomalies.FLAWS,
    *flaws_of_eventification.FLAWS,
)
LOCAL = InProcess("local", run)


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.name.replace(" ", "-"))
def test_a_wrong_engine_fails(flaw: Flaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exercise = EXERCISES[flaw.shown_by]
    flaw.put_in(monkeypatch)
    outcome = answer(LOCAL, exercise, tmp_path)
    with pytest.raises(ConformanceError) as error:
        exercise.check(outcome)
    assert flaw.because in str(error.value)


@pytest.mark.parametrize(
    "exercise", [EXERCISES[name] for name in sorted({flaw.shown_by for flaw in FLAWS})], ids=lambda e: e.name
)
def test_the_right_engine_passes_the_same_case(exercise: Exercise, tmp_path: Path) -> None:
    exercise.check(answer(LOCAL, exercise, tmp_path))


def test_an_engine_that_breaks_fails(tmp_path: Path) -> None:
    def broken(spec: JobSpec) -> Summary:
        raise RuntimeError("no more disk")

    exercise = EXERCISES["grouping-empty-input-straight"]
    outcome = answer(InProcess("broken", broken), exercise, tmp_path)
    with pytest.raises(ConformanceError, match=r"the run failed: .*no more disk"):
        exercise.check(outcome)


def test_an_engine_that_does_nothing_fails(tmp_path: Path) -> None:
    def idle(spec: JobSpec) -> Summary:
        return Summary("sessions", "idle", "stream", spec.output, {}, (), 0, 0, 0.0)

    exercise = EXERCISES["grouping-empty-input-straight"]
    with pytest.raises(ConformanceError, match="the run left no summary"):
        exercise.check(answer(InProcess("idle", idle), exercise, tmp_path))
