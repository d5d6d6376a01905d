"""Tumbling and sliding event-time windows with corrections: the rules of SEMANTICS.md, "Windows", vectorised.

The state holds the events that an open or correctable window may need, each once, however many windows it is in.
So a redelivered event is found, and a corrected window is counted anew rather than added to. Which
windows were emitted follows from the watermark: those with an event whose end it has reached.

Example:
    >>> operator = Windows("userId", counts=(("clicks", 1),), size=600_000, every=60_000, grace=0)
    >>> step = operator.step(operator.state_schema.empty_table(), events, Watermarks(BEGINNING, END))
    >>> step.outputs["windows"]  # userId, start, end, clicks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.groups import Bools, Ints, codes, group_by
from common.operators.rows import keep, late_rows, late_schema, split
from common.operators.sessions import EVENTS
from common.operators.step import END, Step, Watermarks

TIME = "eventTime"


@dataclass(frozen=True)
class Windows:
    """Counts of a subject's events by kind, in windows of one size that start at multiples of `every`.

    Windows tumble when `every` is `size`, and slide (overlap) when it is less. A window is there for a subject
    once it has one of its events, of whatever kind. No event is ever taken back, so no window is: a
    correction is an upsert of the same key, and there are no tombstones.

    Attributes:
        subject: The column that windows belong to; the events are keyed by it, or by something coarser.
        counts: What is counted: a name, which becomes a column of the output, and the code in the column `kind`.
        size: How long a window is, in ms; a multiple of `every`.
        every: How long after one window the next one starts, in ms.
        grace: How far an event may be behind the watermark and still be counted, in ms.
        dedupe: Whether events that are equal in all columns count once.
        kind: The column with the kind of an event.
        event_schema: `eventTime`, subject, kind and whatever else tells events apart: strings or integers.

    Raises:
        ValueError: `size` is not a multiple of `every`.
    """

    subject: str
    counts: tuple[tuple[str, int], ...]
    size: int = field(metadata={"unit": "ms"})
    every: int = field(metadata={"unit": "ms"})
    grace: int = field(metadata={"unit": "ms"})
    dedupe: bool = True
    kind: str = "action"
    event_schema: pa.Schema = EVENTS

    state_key: None = None

    def __post_init__(self) -> None:
        if self.every <= 0 or self.size <= 0 or self.size % self.every:
            raise ValueError(f"windows of {self.size} ms can't start every {self.every} ms: size is a multiple of it")

    @property
    def state_schema(self) -> pa.Schema:
        """The events themselves."""
        return self.event_schema

    @cached_property
    def windows_schema(self) -> pa.Schema:
        """The subject, `start` and `end` in epoch ms, and a column a count."""
        names = ("start", "end", *(name for name, _ in self.counts))
        columns = [pa.field(name, pa.int64(), nullable=False) for name in names]
        return pa.schema([self.event_schema.field(self.subject), *columns])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`windows` (upserts) and `late`."""
        return {"windows": self.windows_schema, "late": late_schema(self.event_schema)}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Under others, events that a window needs may be gone, or windows stand that are never corrected."""
        counted = ",".join(f"{name}={code}" for name, code in self.counts)
        return {
            "operator": "windows",
            "subject": self.subject,
            "counts": counted,
            "size": self.size,
            "every": self.every,
            "grace": self.grace,
            "dedupe": self.dedupe,
        }

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Advances the windows by one batch.

        Args:
            state: `state_schema`, at most one bucket's worth; in any order.
            events: `event_schema`, in any order.
            time: The watermark before and after the batch.

        Returns:
            A step with the outputs `windows` (those that closed, and those that had closed and have a new
            event) and `late` (the events, with the watermark that made them late).
        """
        accepted, late = split(events, events[TIME].to_numpy() <= time.before - self.grace)
        new = self._unseen(state, accepted) if self.dedupe else accepted
        held = pa.concat_tables([state, new]) if state.num_rows else new
        windows = self._windows(held, state.num_rows, time)

        event_time = held[TIME].to_numpy()
        kept = self._last_end(event_time) > time.after - self.grace
        after = keep(held, kept)
        return Step(
            state=after,
            outputs={"windows": windows, "late": late_rows(late, time.before)},
            counters={
                "late": late.num_rows,
                "duplicates": accepted.num_rows - new.num_rows,
                "windows_upserted": windows.num_rows,
            },
            gauges={"window_events_held": after.num_rows},
            due=self._due(event_time[kept], time.after),
        )

    def _unseen(self, state: pa.Table, accepted: pa.Table) -> pa.Table:
        """The accepted events without redeliveries of one another or of those that are held."""
        if accepted.num_rows == 0:
            return accepted
        # Few events are of the very same ms, so only few have to be compared.
        near = pc.is_in(state[TIME], value_set=accepted[TIME].combine_chunks())
        seen = state.filter(near)
        both = pa.concat_tables([seen, accepted])
        heads = group_by([codes(both[name]) for name in self.event_schema.names]).heads
        first = np.sort(heads[heads >= seen.num_rows]) - seen.num_rows
        return accepted if len(first) == accepted.num_rows else accepted.take(pa.array(first))

    def _windows(self, held: pa.Table, already: int, time: Watermarks) -> pa.Table:
        """The windows to be emitted: closed by this step, or closed before and with an event that is new.

        Args:
            held: All events that are held; the new ones last.
            already: How many of them are not new.
            time: The watermark before and after the step.
        """
        pane = self._pane(held[TIME].to_numpy())
        new = np.arange(held.num_rows) >= already
        corrected = self._corrected(held, new & (pane + self.every <= time.before))
        # An event's windows end at `first`, `first + every` and so on, up to `last`.
        first = np.maximum(pane + self.every, (time.before // self.every + 1) * self.every)
        first[corrected] = pane[corrected] + self.every
        last = np.minimum(pane + self.size, time.after // self.every * self.every)
        rows = np.flatnonzero(first <= last)
        if len(rows) == 0:
            return self.windows_schema.empty_table()

        events = held.select([self.subject, self.kind]).take(pa.array(rows))
        subject, kind = codes(events[self.subject]), events[self.kind].to_numpy()
        panes = group_by([subject, pane[rows]])
        heads = panes.heads
        row, end = _each_end(first[rows][heads], last[rows][heads], self.every)
        windows = group_by([subject[heads][row], end])
        end = end[windows.heads]
        counted = [panes.total((kind == code).astype(np.int64)) for _, code in self.counts]
        counts = [windows.total(of_pane[row]) for of_pane in counted]
        fresh = windows.any(panes.any(new[rows])[row])
        emitted = np.flatnonzero((end > time.before) | fresh)

        subjects = events[self.subject].take(pa.array(heads[row[windows.heads]][emitted]))
        bounds = [end[emitted] - self.size, end[emitted]]
        columns = [subjects, *(pa.array(column) for column in (*bounds, *(count[emitted] for count in counts)))]
        return pa.Table.from_arrays(columns, schema=self.windows_schema)

    def _corrected(self, held: pa.Table, behind: Bools) -> Bools:
        """Where the subject is one that has such an event."""
        if not behind.any():
            return behind
        subjects = held[self.subject].filter(pa.array(behind)).unique()
        found: Bools = pc.is_in(held[self.subject], value_set=subjects).to_numpy()
        return found

    def _pane(self, event_time: Ints) -> Ints:
        """The start of the last window that an event is in."""
        return event_time // self.every * self.every

    def _last_end(self, event_time: Ints) -> Ints:
        return self._pane(event_time) + self.size

    def _due(self, event_time: Ints, watermark: int) -> int:
        """When the next window closes, or the next event may be forgotten."""
        if len(event_time) == 0:
            return END
        pane = self._pane(event_time)
        closes = np.maximum(pane + self.every, (watermark // self.every + 1) * self.every)
        moments = np.where(closes <= pane + self.size, closes, pane + self.size + self.grace)
        return int(moments.min())


def _each_end(first: Ints, last: Ints, every: int) -> tuple[Ints, Ints]:
    """Every moment from `first` to `last`, `every` ms apart: the row that each is of, and the moments."""
    number = (last - first) // every + 1
    row = np.repeat(np.arange(len(first)), number)
    place = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    return row, first[row] + place * every
