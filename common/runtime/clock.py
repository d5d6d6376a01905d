"""Event time from what arrives: the watermark of SEMANTICS.md, "Session"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from common.errors import AdstreamError
from common.operators.step import BEGINNING, END, Watermarks


@dataclass(frozen=True)
class Clock:
    """The watermark over the partitions of all input streams; a value, advanced step by step.

    A partition that never had an event holds the watermark at the beginning, until it is idle. The
    watermark never goes back: a partition that wakes up with old events only has late ones.

    It reads no wall clock. When a step's records arrived is a part of the step, as these records are, so a step
    that is taken again makes the same partitions idle.

    Attributes:
        out_of_orderness: How far a partition's watermark stays behind its latest event, in ms.
        idle_after: For how long a partition without an event holds the watermark back, in ms; 0 for ever.
        latest: The latest event time seen, by partition, in epoch ms; `BEGINNING` for none yet.
        heard: When the last step with an event of a partition arrived; the first step, for one that never had any.
            In epoch ms, empty before the first step.
        arrived: When the last step arrived, in epoch ms; 0 before the first.
        watermark: The current watermark, in epoch ms.
    """

    out_of_orderness: int
    idle_after: int = 0
    latest: Mapping[str, int] = field(default_factory=dict)
    heard: Mapping[str, int] = field(default_factory=dict)
    arrived: int = 0
    watermark: int = BEGINNING

    @classmethod
    def start(cls, partitions: tuple[str, ...], out_of_orderness: int, idle_after: int = 0) -> Clock:
        """The clock before the first step."""
        return cls(out_of_orderness, idle_after, dict.fromkeys(partitions, BEGINNING))

    def observe(self, latest: Mapping[str, int], arrived: int) -> Clock:
        """The clock after a step.

        Args:
            latest: The latest event time of each partition that had an event in this step.
            arrived: When the step's records had arrived, in epoch ms (`Arrivals.arrived`).

        Raises:
            AdstreamError: The input has ended before: whatever comes behind that would be late.
        """
        if self.watermark == END and (more := sorted(latest.keys() & self.latest.keys())):
            raise AdstreamError(
                f"the input of this job has ended, it was drained, but '{more[0]}' has more events",
                "begin anew (adstream reset JOB --outputs), and drain only what will not go on",
            )
        now = max(self.arrived, arrived)
        seen = {p: max(t, latest.get(p, BEGINNING)) for p, t in self.latest.items()}
        heard = {p: now if p in latest else self.heard.get(p, now) for p in self.latest}
        live = [t for p, t in seen.items() if not (self.idle_after and now - heard[p] >= self.idle_after)]
        ahead = min(live, default=BEGINNING)
        watermark = ahead - self.out_of_orderness - 1 if ahead > BEGINNING else BEGINNING
        return replace(self, latest=seen, heard=heard, arrived=now, watermark=max(self.watermark, watermark))

    def ended(self) -> Clock:
        """The clock at the end of the input: nothing is expected any more."""
        return replace(self, watermark=END)

    def since(self, earlier: Clock) -> Watermarks:
        """The two moments of the step that led from `earlier` to this clock."""
        return Watermarks(earlier.watermark, self.watermark)
