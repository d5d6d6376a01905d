"""What an engine does not do, with the reason. A marked case that passes fails the kit: take the mark away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.conformance.case import Case


@dataclass(frozen=True)
class Mark:
    """Cases that an engine is not expected to pass.

    Attributes:
        engine: The engine.
        status: `notyet` for what is to come, `never` for what the engine can't do.
        reason: Why, for the report.
        group: The group of the cases.
        case: The id of one case; empty for the whole group.
        play: The play that fails; empty for all.
    """

    engine: str
    status: Literal["notyet", "never"]
    reason: str
    group: str
    case: str = ""
    play: str = ""

    def covers(self, engine: str, case: Case, play: str) -> bool:
        """Whether it is about this run of a case."""
        return (
            self.engine == engine
            and self.group == case.group
            and self.case in ("", case.id)
            and self.play in ("", play)
        )


MARKS: tuple[Mark, ...] = ()
"""All engines of this suite do all cases."""


def marks_of(engine: str, case: Case, play: str) -> Iterator[Mark]:
    """The marks on an engine's run of a case."""
    return (mark for mark in MARKS if mark.covers(engine, case, play))
