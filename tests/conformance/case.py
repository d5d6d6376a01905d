"""A case: what arrives step by step, and exactly what must come out of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.conformance.notation import Change
from tests.conformance.oracle import Event, Table

STREAMS = ("ad-views", "ad-clicks")
"""The input streams, by the code of their action."""
CLOCK = "clock"
"""The user whose events only move the watermark; its sessions are nobody's concern."""
GROUPS = (
    "grouping",
    "exact-gap",
    "disorder",
    "drop",
    "wait",
    "grace",
    "old-beside-open",
    "late-limit",
    "about-to-be-forgotten",
    "redelivery",
    "silent-and-idle",
    "bad-input",
    "restart",
    "rescale",
    "bounded",
)
"""The groups of cases, in the order in which they are reported."""
SETTINGS = MappingProxyType(
    {
        "gap": 10,
        "grace": 0,
        "out_of_orderness": 0,
        "idle_after": 0,
        "dedupe": True,
        "max_future_skew": 0,
        "buckets": 4,
        "parallelism": 2,
    }
)
"""The settings of a case that says nothing else. Times are so small that a case can be reasoned about by hand."""


BETWEEN_STEPS = 60_000
"""How long after the step before it a step arrives, in ms."""


@dataclass(frozen=True)
class Letter:
    """A dead letter.

    Attributes:
        stream: The stream that the record came on.
        offset: Its line in the stream's file.
        raw: The record as it came.
        reason: What its reason must contain.
    """

    stream: str
    offset: int
    raw: bytes
    reason: str


@dataclass(frozen=True)
class Step:
    """One file of each stream, and what comes of it.

    Attributes:
        events: What arrives: views on `ad-views`, clicks on `ad-clicks`, in this order.
        raw: Lines that stand before them in a stream's file, as they are.
        tick: A time at which `CLOCK` has a view and a click; None for neither. Where no other
            event is later, the watermark becomes `tick - out_of_orderness - 1`.
        watermark: The watermark after the step, in ms; `BEGINNING` before both streams were seen.
        out: The records of `ad-sessions` that the step writes, in any order.
        late: The events that the step sends to `late-events`.
        dead: The dead letters that the step writes.
    """

    events: tuple[Event, ...]
    watermark: int
    raw: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    tick: int | None = None
    out: tuple[Change, ...] = ()
    late: tuple[Event, ...] = ()
    dead: tuple[Letter, ...] = ()

    @property
    def arrivals(self) -> tuple[Event, ...]:
        """The events, those of the clock included."""
        ticks = () if self.tick is None else tuple(Event(CLOCK, self.tick, action, 0) for action in (0, 1))
        return self.events + ticks


@dataclass(frozen=True)
class Case:
    """A run of the sessions job with a known answer.

    Attributes:
        id: Its name, unique over all groups.
        group: One of `GROUPS`.
        note: What it shows.
        settings: The job's settings, over `SETTINGS`.
        steps: What arrives.
        end: What the end of the input writes to `ad-sessions`; None when the job only catches up.
        plays: The names of the ways in which it is played (`plays.PLAYS`).
        source: Where its facts come from, if from elsewhere.
    """

    id: str
    group: str
    note: str
    settings: Mapping[str, Any]
    steps: tuple[Step, ...]
    end: tuple[Change, ...] | None = None
    plays: tuple[str, ...] = ("straight",)
    source: str = ""

    @property
    def bounded(self) -> bool:
        """Whether a run that reads everything at once must give the same table: nothing is ever late."""
        return self.end is not None and not any(step.late for step in self.steps)

    def table(self) -> Table:
        """The table that results from applying everything that comes out."""
        return applied(change for out in (*(step.out for step in self.steps), self.end or ()) for change in out)

    def setting(self, name: str) -> Any:
        """A setting, or its default."""
        return self.settings.get(name, SETTINGS[name])


def applied(changes: Iterator[Change]) -> Table:
    """The table that upserts and tombstones leave."""
    table: Table = {}
    for change in changes:
        key = (change.user, change.start, change.end)
        if change.actions is None:
            table.pop(key, None)
        else:
            table[key] = list(change.actions)
    return table
