"""How far a run without an end has come, as the operator that completes steps tells the one that plans them.

    <workplace>/_run/complete    the number of the first turn that is not complete

Flink has no way back from an operator to one before it. Without one, steps are planned for as long as its buffers
take their units, and of a few records each: a record then waits for hundreds of steps that were planned before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.files import staged

COMPLETE = "_run/complete"


@dataclass(frozen=True)
class Pace:
    """The turns of a run that are complete.

    Attributes:
        workplace: The job's own folder, which all tasks share.
    """

    workplace: Path

    @property
    def _place(self) -> Path:
        return self.workplace / COMPLETE

    def begin(self) -> None:
        """Forgets what an earlier run has told."""
        self._place.unlink(missing_ok=True)

    def tell(self, turn: int) -> None:
        """Says that all turns before this one are complete."""
        with staged(self._place) as place:
            place.write_text(str(turn))

    def complete(self, before: int) -> int:
        """The first turn that is not complete.

        Args:
            before: What it was when it was last asked for; it stays so until more is told.
        """
        try:
            return max(before, int(self._place.read_text()))
        except FileNotFoundError:
            return before
