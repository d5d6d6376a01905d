"""What a job has written, against what it had to write."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

SHOWN = 10
"""How many records of a kind a verdict tells at most."""


@dataclass(frozen=True)
class Verdict:
    """The records that are not what they had to be.

    Attributes:
        lost: Those that are missing.
        doubled: Those that are there, and once more.
        strange: Those that nobody asked for.
    """

    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    @classmethod
    def of(cls, wanted: Counter[str], found: Counter[str]) -> Verdict:
        """Compares records as texts, each with the step that it belongs to where that is known."""
        more = found - wanted
        return cls(
            lost=_listed(wanted - found),
            doubled=_listed(Counter({record: many for record, many in more.items() if record in wanted})),
            strange=_listed(Counter({record: many for record, many in more.items() if record not in wanted})),
        )

    @property
    def right(self) -> bool:
        """Whether every record is there once."""
        return not (self.lost or self.doubled or self.strange)

    def __str__(self) -> str:
        kinds = {"lost": self.lost, "doubled": self.doubled, "strange": self.strange}
        lines = [f"  {kind}: {record}" for kind, records in kinds.items() for record in records[:SHOWN]]
        counts = ", ".join(f"{len(records)} {kind}" for kind, records in kinds.items())
        return "\n".join([counts, *lines])


def _listed(records: Counter[str]) -> tuple[str, ...]:
    return tuple(sorted(records.elements()))
