"""The answers of engines to the runs that a test session has selected: each engine is started once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.case import Case
from tests.conformance.kit import check, check_bounded
from tests.conformance.outcome import Outcome, read_outcome
from tests.conformance.plays import PLAYS, Play
from tests.conformance.runners import Runner

TIMEOUT_SECONDS = 900
"""How long an engine may take over all cases."""


@dataclass(frozen=True)
class Exercise:
    """A case, and how an engine plays it."""

    case: Case
    play: Play

    @property
    def name(self) -> str:
        """A name that can be a folder's."""
        return f"{self.case.id}-{self.play.name}"

    def check(self, outcome: Outcome) -> None:
        """Raises `ConformanceError` unless the outcome is right."""
        if self.play.mode == "batch":
            check_bounded(self.case, outcome)
        else:
            check(self.case, outcome)


def exercises_of(cases: Sequence[Case]) -> list[Exercise]:
    """Each case in each of its plays."""
    return [Exercise(case, PLAYS[play]) for case in cases for play in case.plays]


@dataclass
class Answers:
    """What engines answered, below one folder.

    Attributes:
        folder: Where inputs and outputs go.
        selected: The exercises that each engine is given when it is first asked.
    """

    folder: Path
    selected: dict[str, list[Exercise]]
    _asked: set[str] = field(default_factory=set)

    def of(self, runner: Runner, exercise: Exercise) -> Outcome:
        """An engine's answer to one of the selected exercises."""
        root = self.folder / runner.name
        if runner.name not in self._asked:
            self._asked.add(runner.name)
            play_all(runner, self.selected[runner.name], root)
        return read_outcome(root / exercise.name / "output")


def play_all(runner: Runner, exercises: Sequence[Exercise], root: Path) -> None:
    """Has an engine play exercises, each below `root` in a folder of its name."""
    specs = [
        spec for exercise in exercises for spec in exercise.play.specs(exercise.case, runner.name, root / exercise.name)
    ]
    runner.run(specs, root / "_runner", TIMEOUT_SECONDS)


def answer(runner: Runner, exercise: Exercise, root: Path) -> Outcome:
    """An engine's answer to a single exercise."""
    play_all(runner, [exercise], root)
    return read_outcome(root / exercise.name / "output")
