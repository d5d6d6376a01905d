"""The ways to play a case: at one go, stopped between steps, rescaled, or read all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.runtime.spec import JobSpec, Mode
from tests.conformance.case import Case
from tests.conformance.folder import write

PARALLELISMS = (1, 3, 2)
"""What a rescaled job runs at, over and over."""


@dataclass(frozen=True)
class Play:
    """A way to play a case.

    Attributes:
        name: Its name, as in the `plays` of a case.
        mode: The job's mode; a case is read at once in `batch` mode.
        restarts: Whether the job is stopped and started again between any two steps.
        parallelisms: What its runs are started at, in turn; empty for what the case says.
    """

    name: str
    mode: Mode = "stream"
    restarts: bool = False
    parallelisms: tuple[int, ...] = ()

    def specs(self, case: Case, engine: str, root: Path) -> list[JobSpec]:
        """Writes the input; gives the runs, to be taken one after another."""
        stops = range(1, len(case.steps) + 1) if self.restarts else [len(case.steps)]
        ends = [(steps, False) for steps in stops]
        if case.end is not None:
            # A job that is stopped between steps is stopped before the end of the input, too.
            ends = [*ends, (len(case.steps), True)] if self.restarts else [(len(case.steps), True)]
        return runs(case, engine, root, self.mode, ends, self.parallelisms)


PLAYS: Mapping[str, Play] = {
    play.name: play
    for play in (
        Play("straight"),
        Play("stopped", restarts=True),
        Play("rescaled", restarts=True, parallelisms=PARALLELISMS),
        Play("bounded", mode="batch"),
    )
}


def runs(
    case: Case,
    engine: str,
    root: Path,
    mode: Mode,
    ends: Iterable[tuple[int, bool]],
    parallelisms: tuple[int, ...] = (),
) -> list[JobSpec]:
    """One run for each (steps that have arrived, whether the input ends there); output and checkpoint are shared."""
    specs = []
    for number, (steps, drain) in enumerate(ends):
        settings: dict[str, Any] = {**case.job.settings, **case.settings}
        if parallelisms:
            settings["parallelism"] = parallelisms[number % len(parallelisms)]
        specs.append(
            JobSpec(
                job=case.job.name,
                engine=engine,
                mode=mode,
                input=str(write(case, root / f"input-{steps}", steps)),
                output=str(root / "output"),
                checkpoint=str(root / "checkpoint"),
                settings=settings,
                until_caught_up=mode == "stream",
                drain=drain and mode == "stream",
            )
        )
    return specs
