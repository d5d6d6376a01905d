"""A case: what arrives step by step, and exactly what must come out of each step."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.job import Change, Job

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
        events: What arrives, each on its stream, in this order.
        raw: Lines that stand before them in a stream's file, as they are.
        tick: The time of the job's `ticks`; None for none. Where no other event is later, the
            watermark becomes `tick - out_of_orderness - 1`.
        watermark: The watermark after the step, in ms; `BEGINNING` before all streams with a time were seen.
        out: The records that the step writes to the job's outputs, in any order.
        late: The events that the step sends to `late-events`.
        dead: The dead letters that the step writes.
    """

    events: tuple[Any, ...]
    watermark: int
    raw: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    tick: int | None = None
    out: tuple[Change, ...] = ()
    late: tuple[Any, ...] = ()
    dead: tuple[Letter, ...] = ()


@dataclass(frozen=True)
class Case:
    """A run of a job with a known answer.

    Attributes:
        id: Its name, unique over all groups.
        job: The job.
        group: One of the job's groups.
        note: What it shows.
        settings: The job's settings, over those of a case that says nothing.
        steps: What arrives.
        end: What the end of the input writes; None when the job only catches up.
        plays: The names of the ways in which it is played (`plays.PLAYS`).
        source: Where its facts come from, if from elsewhere.
    """

    id: str
    job: Job
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

    def arrivals(self, step: Step) -> tuple[Any, ...]:
        """The events of a step, the ticks included."""
        return step.events + (() if step.tick is None else self.job.ticks(step.tick))

    def table(self) -> list[Change]:
        """What is left when everything that comes out is applied."""
        return applied(change for out in (*(step.out for step in self.steps), self.end or ()) for change in out)

    def setting(self, name: str) -> Any:
        """A setting, or its default."""
        return self.settings.get(name, self.job.settings[name])


def applied(changes: Iterable[Change]) -> list[Change]:
    """What upserts and tombstones leave."""
    table: dict[tuple[str, Hashable], Change] = {}
    for change in changes:
        table[change.stream, change.key] = change
    return [change for change in table.values() if not change.gone]
