"""The lines of the report, each with what is asked for and whether it was met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from tests.bench.kept import Kept
from tests.bench.merged import Merged
from tests.bench.sides import Side

KIB = 2**10
MIB = 2**20
GIB = 2**30


class Line(Protocol):
    """A line of the report."""

    @property
    def met(self) -> bool:
        """Whether the least that is asked for was reached."""
        ...

    def cells(self) -> tuple[str, ...]:
        """What it says, a cell for each of `COLUMNS`."""
        ...


COLUMNS = ("what", "ours", "by hand", "result", "asked", "verdict", "peak ours / by hand", "load")


@dataclass(frozen=True)
class Speed:
    """Events a second against a native job, warm.

    Attributes:
        what: What was run.
        ours: This suite's side.
        native: The other.
        floor: The least ratio that is asked for; 0 for none.
        aim: The ratio that is aimed at; the floor again where that is enough.
        steps: Whether micro-batches count and not whole runs.
    """

    what: str
    ours: Side
    native: Side
    floor: float
    aim: float
    steps: bool = False

    @property
    def rates(self) -> tuple[float, float]:
        """Events a second, ours and theirs."""
        return (self.ours.step_rate, self.native.step_rate) if self.steps else (self.ours.rate, self.native.rate)

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        ours, native = self.rates
        return ours / native

    @property
    def met(self) -> bool:
        """Whether ours is fast enough, and the answers are comparable."""
        return self.ratio >= self.floor and self._same is not False

    @property
    def _same(self) -> bool | None:
        """Whether the answers are the same; None when the inputs differ in size."""
        return self.ours.answer == self.native.answer if self.ours.given == self.native.given else None

    def _verdict(self) -> str:
        if self._same is False:
            return "OTHER ANSWER"
        if self.ratio < self.floor:
            return "MISSED"
        return "met" if self.ratio >= self.aim else "aim missed"

    def cells(self) -> tuple[str, ...]:
        """The line."""
        ours, native = self.rates
        costs = (self.ours.measured, self.native.measured)
        return (
            self.what,
            f"{ours:,.0f}/s",
            f"{native:,.0f}/s",
            f"{self.ratio:.2f}x",
            ", ".join([f"{self.floor:g}x"] * (self.floor > 0) + [f"aim {self.aim:g}x"] * (self.aim > self.floor)),
            self._verdict(),
            " / ".join(f"{cost.peak / MIB:,.0f} MiB" for cost in costs),
            " / ".join(f"{cost.load:.1f}" for cost in costs),
        )


@dataclass(frozen=True)
class Peak:
    """Memory of all processes together, at a large input.

    Attributes:
        what: What was run.
        ours: This suite's side.
        limit: What it must stay below, in bytes.
    """

    what: str
    ours: Side
    limit: int

    @property
    def met(self) -> bool:
        """Whether it stayed below."""
        return self.ours.measured.peak < self.limit

    def cells(self) -> tuple[str, ...]:
        """The line."""
        peak = f"{self.ours.measured.peak / GIB:.2f} GiB"
        load = f"{self.ours.measured.load:.1f}"
        rate = f"{self.ours.rate:,.0f}/s"
        return (self.what, rate, "", peak, f"< {self.limit / GIB:g} GiB", _verdict(self.met), peak, load)


@dataclass(frozen=True)
class Growth:
    """How the cost of an event grows with the input.

    Attributes:
        what: What was run.
        small: The side with the small input.
        large: The side with the large one.
        limit: What the growth must stay below.
    """

    what: str
    small: Side
    large: Side
    limit: float

    @property
    def growth(self) -> float:
        """Cost of an event at the large input over that at the small one."""
        return self.small.rate / self.large.rate

    @property
    def met(self) -> bool:
        """Whether it stayed below."""
        return self.growth < self.limit

    def cells(self) -> tuple[str, ...]:
        """The line."""
        rates = f"{self.small.rate:,.0f}/s, {self.large.rate:,.0f}/s"
        peaks = " / ".join(f"{side.measured.peak / MIB:,.0f} MiB" for side in (self.small, self.large))
        load = f"{self.large.measured.load:.1f}"
        return (self.what, rates, "", f"{self.growth:.2f}x", f"< {self.limit:g}x", _verdict(self.met), peaks, load)


@dataclass(frozen=True)
class TableGrowth:
    """What an event costs beside a table of some size, over what it costs beside a small one.

    Attributes:
        what: How large the table is.
        small: The side with the small table.
        ours: This one; it may be the same.
        limit: What the growth must stay below.
    """

    what: str
    small: Side
    ours: Side
    limit: float

    @property
    def growth(self) -> float:
        """Processor time of an event here over that beside the small table."""
        return self.ours.event_seconds / self.small.event_seconds

    @property
    def met(self) -> bool:
        """Whether it stayed below."""
        return self.growth < self.limit

    def cells(self) -> tuple[str, ...]:
        """The line."""
        ours, cost = self.ours, self.ours.measured
        step = f"{ours.step_seconds * 1000:,.0f} ms, {ours.step_bytes / KIB:,.0f} KiB a step"
        filled = f"filled in {ours.load_seconds:,.1f} s"
        return (
            self.what,
            f"{ours.event_seconds * 1e6:,.0f} us/event",
            "",
            f"{self.growth:.2f}x; {step}; {filled}",
            f"< {self.limit:g}x",
            _verdict(self.met),
            f"{cost.peak / MIB:,.0f} MiB",
            f"{cost.load:.1f}",
        )


@dataclass(frozen=True)
class Start:
    """How long an engine takes to do next to nothing.

    Attributes:
        what: What was run.
        ours: A side with a tiny input.
    """

    what: str
    ours: Side

    met: bool = True
    """Nothing is asked for."""

    def cells(self) -> tuple[str, ...]:
        """The line."""
        cost = self.ours.measured
        return (self.what, "", "", f"{cost.wall:.1f} s", "", "", f"{cost.peak / MIB:,.0f} MiB", f"{cost.load:.1f}")


@dataclass(frozen=True)
class Checkpointing:
    """What a checkpoint of many open sessions costs.

    Attributes:
        kept: What was measured.
        load: The machine's load average over the minute before.
    """

    kept: Kept
    load: float

    met: bool = True
    """Nothing is asked for."""

    def cells(self) -> tuple[str, ...]:
        """The line."""
        kept = self.kept
        sizes = f"{kept.size / MIB:,.1f} MiB, {kept.written / MIB:,.1f} MiB a step"
        times = f"step {kept.step:.2f} s, saving {kept.saving / kept.step:.0%}; recovery {kept.recovery:.2f} s"
        return (f"{kept.sessions:,} open sessions", sizes, "", times, "", "", "", f"{self.load:.1f}")


@dataclass(frozen=True)
class Merging:
    """What a step costs that upserts into a Delta table, and the merge that one would write by hand.

    Attributes:
        merged: What was measured.
        load: The machine's load average over the minute before.
        limit: What ours may cost over that by hand.
    """

    merged: Merged
    load: float
    limit: float

    @property
    def ratio(self) -> float:
        """Ours over that by hand."""
        return self.merged.ours / self.merged.by_hand

    @property
    def met(self) -> bool:
        """Whether ours costs little more."""
        return self.ratio < self.limit

    def cells(self) -> tuple[str, ...]:
        """The line."""
        it = self.merged
        ours, hand = (
            f"{usual * 1000:,.0f} ms (most {most * 1000:,.0f})"
            for usual, most in ((it.ours, it.ours_most), (it.by_hand, it.by_hand_most))
        )
        sizes = f"{it.size / MIB:,.1f} MiB, {it.written / MIB:,.1f} MiB a step"
        limit, verdict = f"< {self.limit:g}x", _verdict(self.met)
        return (f"{it.rows:,} rows", ours, hand, f"{self.ratio:.2f}x", limit, verdict, sizes, f"{self.load:.1f}")


@dataclass(frozen=True)
class Latency:
    """How long sessions took to the output topic, from the record that closed each.

    Attributes:
        what: What was run.
        written: Until their records were sent, in ms.
        seen: Until a `read_committed` reader had them, in ms.
        load: The machine's load average over the last minute, at the end.
    """

    what: str
    written: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]
    load: float

    @property
    def met(self) -> bool:
        """Nothing is asked for but that there are sessions."""
        return len(self.seen) > 0

    def cells(self) -> tuple[str, ...]:
        """The line."""
        written, seen = (
            " / ".join(f"{np.percentile(times, share):,.0f}" for share in (50, 99)) + " ms" if len(times) else "none"
            for times in (self.written, self.seen)
        )
        sessions = f"{len(self.seen):,} sessions"
        return (self.what, sessions, "", f"p50 / p99 {seen}; written {written}", "", "", "", f"{self.load:.1f}")


def show(lines: list[Line]) -> None:
    """Prints the report."""
    table = Table(*COLUMNS, box=None)
    for line in lines:
        table.add_row(*line.cells())
    Console(width=200).print(table)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
