"""Event time from what arrives: the watermark of SEMANTICS.md, "Session"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from common.operators.step import BEGINNING, END, Watermarks


@dataclass(frozen=True)
class Clock:
    """The watermark over the partitions of all input streams; a value, advanced step by step.

    A partition that never had an event holds the watermark at the beginning, until it is idle. The
    watermark never goes back: a partition that wakes up with old events only has late ones.

    Attributes:
        out_of_orderness: How far a partition's watermark stays behind its latest event, in ms.
        idle_steps: After how many steps without an event a partition no longer holds the
            watermark back; 0 for never.
        latest: The latest event time seen, by partition, in epoch ms; `BEGINNING` for none yet.
        silent: For how many steps a partition has had no event.
        watermark: The current watermark, in epoch ms.
    """

    out_of_orderness: int
    idle_steps: int = 0
    latest: Mapping[str, int] = field(default_factory=dict)
    silent: Mapping[str, int] = field(default_factory=dict)
    watermark: int = BEGINNING

    @classmethod
    def start(cls, partitions: tuple[str, ...], out_of_orderness: int, idle_steps: int = 0) -> Clock:
        """The clock before the first step."""
        return cls(out_of_orderness, idle_steps, dict.fromkeys(partitions, BEGINNING), dict.fromkeys(partitions, 0))

    def observe(self, latest: Mapping[str, int]) -> Clock:
        """The clock after a step.

        Args:
            latest: The latest event time of each partition that had an event in this step.
        """
        seen = {p: max(t, latest.get(p, BEGINNING)) for p, t in self.latest.items()}
        silent = {p: 0 if p in latest else n + 1 for p, n in self.silent.items()}
        live = [t for p, t in seen.items() if not (self.idle_steps and silent[p] >= self.idle_steps)]
        now = min(live, default=BEGINNING)
        watermark = now - self.out_of_orderness - 1 if now > BEGINNING else BEGINNING
        return replace(self, latest=seen, silent=silent, watermark=max(self.watermark, watermark))

    def ended(self) -> Clock:
        """The clock at the end of the input: nothing is expected any more."""
        return replace(self, watermark=END)

    def since(self, earlier: Clock) -> Watermarks:
        """The two moments of the step that led from `earlier` to this clock."""
        return Watermarks(earlier.watermark, self.watermark)
