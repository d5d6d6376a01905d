"""The answers of engines to what a test session has selected: each engine is started once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.case import Case
from tests.conformance.kit import Ending, check, check_bounded
from tests.conformance.outcome import Outcome, read_outcome
from tests.conformance.packs import Pack, packed
from tests.conformance.plays import PLAYS, Play
from tests.conformance.runners import Runner

TIMEOUT_SECONDS = 1_200
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
        """Checks what came out when the case had the run for itself.

        Raises:
            ConformanceError: It is not what the case says.
        """
        if self.play.mode == "batch":
            check_bounded(self.case, outcome)
        else:
            check(self.case, outcome, Ending.of(self.case))


@dataclass(frozen=True)
class Seat:
    """Where an exercise is played: as one case of a pack, in the output that is the pack's."""

    pack: Pack
    place: int
    output: Path

    def check(self, exercise: Exercise, whole: Outcome) -> None:
        """Checks an exercise by what came out for its pack.

        Raises:
            ConformanceError: It is not what the case says.
        """
        if exercise.play.mode == "batch":
            check_bounded(exercise.case, self.pack.bounded(self.place, whole))
        else:
            check(exercise.case, self.pack.streamed(self.place, whole), Ending.of(self.pack.whole()))


def exercises_of(cases: Sequence[Case]) -> list[Exercise]:
    """Each case in each of its plays."""
    return [Exercise(case, PLAYS[play]) for case in cases for play in case.plays]


def every_exercise_of(cases: Sequence[Case]) -> list[Exercise]:
    """Each case in its plays, stopped between any two steps, and bounded where nothing is late: for a fast engine."""
    return [
        Exercise(case, play)
        for case in cases
        for play in PLAYS.values()
        if play.name in case.plays or play.name == "stopped" or (play.mode == "batch" and case.bounded)
    ]


@dataclass
class Answers:
    """What engines answered, below one folder.

    Attributes:
        folder: Where inputs and outputs go.
        selected: The exercises that each engine is given when it is first asked.
    """

    folder: Path
    selected: dict[str, list[Exercise]]
    _seats: dict[str, dict[str, Seat]] = field(default_factory=dict)
    _outcomes: dict[Path, Outcome] = field(default_factory=dict)

    def check(self, runner: Runner, exercise: Exercise) -> None:
        """Checks an engine's answer to one of the selected exercises.

        Raises:
            ConformanceError: It is not what the case says.
        """
        if runner.name not in self._seats:
            self._seats[runner.name] = play_packed(runner, self.selected[runner.name], self.folder / runner.name)
        seat = self._seats[runner.name][exercise.name]
        if seat.output not in self._outcomes:
            self._outcomes[seat.output] = read_outcome(seat.output, exercise.case.job)
        seat.check(exercise, self._outcomes[seat.output])


def play_packed(runner: Runner, exercises: Sequence[Exercise], root: Path) -> dict[str, Seat]:
    """Has an engine play exercises below `root`, in as few runs as they need; gives the seats by name."""
    specs, seats = [], {}
    for play in PLAYS.values():
        cases = [exercise.case for exercise in exercises if exercise.play is play]
        packs = [Pack((case,)) for case in cases] if play.restarts else packed(cases)
        for pack in packs:
            folder = root / f"{pack.name}-{play.name}"
            specs += play.specs(pack.whole(), runner.name, folder)
            for place, case in enumerate(pack.cases):
                seats[Exercise(case, play).name] = Seat(pack, place, folder / "output")
    runner.run(specs, root / "_runner", TIMEOUT_SECONDS)
    return seats


def answer(runner: Runner, exercise: Exercise, root: Path) -> Outcome:
    """An engine's answer to a single exercise, which has the run for itself."""
    specs = exercise.play.specs(exercise.case, runner.name, root)
    runner.run(specs, root / "_runner", TIMEOUT_SECONDS)
    return read_outcome(root / "output", exercise.case.job)
