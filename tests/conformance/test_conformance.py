"""Every case on every engine."""

from __future__ import annotations

import pytest

from common.engines.registry import ENGINES
from tests.conformance.answers import TIMEOUT_SECONDS, Answers, Exercise, every_exercise_of, exercises_of
from tests.conformance.loader import load_cases
from tests.conformance.marks import marks_of
from tests.conformance.runners import Worker

CASES = load_cases()
EXERCISES = {engine: exercises_of(CASES) for engine in ENGINES} | {"local": every_exercise_of(CASES)}


def _parameter(engine: str, exercise: Exercise) -> object:
    selectable = [] if engine == "local" else [getattr(pytest.mark, engine)]
    expected = [
        pytest.mark.xfail(strict=True, reason=f"{mark.status}: {mark.reason}")
        for mark in marks_of(engine, exercise.case, exercise.play.name)
    ]
    return pytest.param(engine, exercise, id=f"{engine}-{exercise.name}", marks=[*selectable, *expected])


@pytest.mark.timeout(TIMEOUT_SECONDS)  # the first case of an engine waits for all of them
@pytest.mark.parametrize(
    ("engine", "exercise"), [_parameter(engine, exercise) for engine in ENGINES for exercise in EXERCISES[engine]]
)
def test_an_engine_gives_the_answer_of_the_suite(engine: str, exercise: Exercise, answers: Answers) -> None:
    runner = Worker(engine)
    reason = runner.unavailable()
    if reason is not None:
        pytest.skip(reason)
    answers.check(runner, exercise)
