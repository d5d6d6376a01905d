"""Waiting until an event of each kind has come for a key, or its time is over (SEMANTICS.md, "Gates").

A key's first event begins a round, which all its events up to `within` later belong to. A round with an event of each
kind is complete, at once; one that lacks a kind when the watermark has passed its end is incomplete. An event that
comes later, but not late, corrects what was given out, as with sessions. The state holds one row an event.

Example:
    >>> operator = Gate(event_schema, "orderId", "kind", ("order", "payment", "parcel"), within=3_600_000)
    >>> step = operator.step(operator.state_schema.empty_table(), events, Watermarks(BEGINNING, END))
    >>> step.outputs["complete"]  # orderId, start, end, events (null: a tombstone)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.anchored import anchors
from common.operators.order import order_by
from common.operators.rows import codes_of, keep, late_rows, late_schema, order_of, split
from common.operators.step import END, Step, Watermarks
from common.streams.columns import as_array, lists_of

OPEN, COMPLETE, INCOMPLETE = 0, 1, 2
"""What a round was given out as; `OPEN`: it was not."""
ROUND = pa.schema(
    [
        pa.field("start", pa.int64(), nullable=False),
        pa.field("emitted", pa.int8(), nullable=False),
        pa.field("chosen", pa.bool_(), nullable=False),
    ]
)
"""What the state knows of each event: its round's start (ms), what that was given out as, whether with this event."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Gate:
    """Rounds of events of several kinds, by key.

    Attributes:
        event_schema: The events; with `eventTime` (`int64`, ms), of the types that contracts use.
        key: The column of the key.
        kind: The column that tells the kind of an event; no nulls.
        kinds: The kinds that are waited for; an event of another kind is counted as `ignored`.
        within: How long after a round's first event the others may follow, in ms; exactly that is in time.
        grace: How far an event may be behind the watermark and still be taken, in ms.

    Raises:
        ValueError: `within` is negative.
    """

    event_schema: pa.Schema
    key: str
    kind: str
    kinds: tuple[str, ...] | tuple[int, ...]
    within: int = field(default=3_600_000, metadata={"unit": "ms"})
    grace: int = field(default=1_800_000, metadata={"unit": "ms"})

    state_key: None = None

    def __post_init__(self) -> None:
        if self.within < 0:
            raise ValueError(f"a round can't end {-self.within} ms before its first event: within is at least 0")

    @property
    def state_schema(self) -> pa.Schema:
        """The events, each with `ROUND`."""
        return pa.schema([*self.event_schema, *ROUND])

    @property
    def rounds(self) -> pa.Schema:
        """The key, start and end of a round (ms), and the first event of each kind, in the order of `kinds`."""
        events = pa.list_(pa.field("item", pa.struct(list(self.event_schema)), nullable=False))
        return pa.schema(
            [
                self.event_schema.field(self.key),
                pa.field("start", pa.int64(), nullable=False),
                pa.field("end", pa.int64(), nullable=False),
                pa.field("events", events),
            ]
        )

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`complete` and `incomplete` (upserts and tombstones by key and start), and `late`."""
        return {"complete": self.rounds, "incomplete": self.rounds, "late": late_schema(self.event_schema)}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Rounds of another length, or of other kinds, are other rounds; with less grace, some were dropped already."""
        kinds = ",".join(map(str, self.kinds))
        return {"operator": "gate", "within": self.within, "kinds": kinds, "grace": self.grace}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Advances the rounds by one batch (SEMANTICS.md, "Late events", rules 1 to 4).

        Args:
            state: `state_schema`, in any order but of equal events.
            events: `event_schema`, in any order.
            time: The watermark before and after the batch.
        """
        in_time, late = split(events, events["eventTime"].to_numpy() <= time.before - self.grace)
        accepted = in_time.filter(pc.is_in(in_time[self.kind], value_set=self._kinds))
        untouched, touched = split(state, self._touched(state, accepted, time.after))
        grouped = self._group(touched, accepted, time.after)
        kept = keep(grouped.state, grouped.state["start"].to_numpy() + self.within > time.after - self.grace)
        new_state = pa.concat_tables([untouched, kept])
        emitted = new_state["emitted"].to_numpy()
        return Step(
            state=new_state,
            outputs={**grouped.outputs, "late": late_rows(late, time.before)},
            counters={
                "late": late.num_rows,
                "ignored": in_time.num_rows - accepted.num_rows,
                "events_complete": _difference(grouped.state, touched, COMPLETE),
                "events_incomplete": _difference(grouped.state, touched, INCOMPLETE),
            },
            gauges={"events_held": new_state.num_rows, "events_open": int((emitted == OPEN).sum())},
            due=self._due(new_state["start"].to_numpy(), emitted),
        )

    @property
    def _kinds(self) -> pa.Array:
        return pa.array(self.kinds, self.event_schema.field(self.kind).type)

    def _touched(self, state: pa.Table, accepted: pa.Table, watermark: int) -> Bools:
        """The events of keys that arrived, and of rounds that end now or can be forgotten."""
        arrived = pc.is_in(state[self.key], value_set=accepted[self.key].unique()).to_numpy()
        end, emitted = state["start"].to_numpy() + self.within, state["emitted"].to_numpy()
        touched: Bools = arrived | ((emitted == OPEN) & (end <= watermark)) | (end <= watermark - self.grace)
        return touched

    def _due(self, start: Ints, emitted: npt.NDArray[np.int8]) -> int:
        """When the next open round ends, or the next one that was given out may be forgotten."""
        moments = start + self.within + np.where(emitted == OPEN, 0, self.grace)
        return int(moments.min()) if len(moments) else END

    def _group(self, held: pa.Table, arrived: pa.Table, watermark: int) -> _Grouped:
        every = pa.concat_tables([held, _unknown(arrived)])
        events = every.select(self.event_schema.names)
        kind = pc.index_in(every[self.kind], value_set=self._kinds).to_numpy()
        # Held events come first, so that of equal ones the one that was given out stays the first.
        order = order_of([codes_of(every, [self.key]), every["eventTime"].to_numpy(), kind], events)
        rows, kind = every.take(pa.array(order)).combine_chunks(), kind[order]
        rounds = _rounds(codes_of(rows, [self.key]), rows["eventTime"].to_numpy(), kind, self.within)
        closed = rounds.start + self.within <= watermark
        emission = np.where(rounds.kinds == len(self.kinds), COMPLETE, np.where(closed, INCOMPLETE, OPEN))
        before = _before(rows, rounds, emission)
        upserts = (emission != OPEN) & ~before.unchanged
        outputs = {
            name: pa.concat_tables(
                [
                    self._tombstones(rows, before.gone[before.gone_as == which]),
                    self._upserts(rows, kind, rounds, upserts & (emission == which)),
                ]
            )
            for name, which in (("complete", COMPLETE), ("incomplete", INCOMPLETE))
        }
        known = [rounds.start[rounds.of], emission[rounds.of].astype(np.int8), rounds.chosen]
        columns = [rows[name] for name in self.event_schema.names]
        state = pa.table([*columns, *(pa.array(column) for column in known)], schema=self.state_schema)
        return _Grouped(state, outputs)

    def _tombstones(self, rows: pa.Table, first: npt.NDArray[np.intp]) -> pa.Table:
        """Takes back the rows that began with these events."""
        taken = rows.take(pa.array(first))
        end = pa.array(taken["start"].to_numpy() + self.within)
        nothing = pa.nulls(len(first), self.rounds.field("events").type)
        return pa.table([taken[self.key], taken["start"], end, nothing], schema=self.rounds)

    def _upserts(self, rows: pa.Table, kind: Ints, rounds: _Rounds, which: Bools) -> pa.Table:
        chosen = np.flatnonzero(rounds.chosen & which[rounds.of])
        chosen = chosen[order_by([rounds.of[chosen], kind[chosen]])]
        taken = rows.take(pa.array(chosen)).combine_chunks()
        fields = list(self.event_schema)
        values = pa.StructArray.from_arrays([as_array(taken[f.name]) for f in fields], fields=fields)
        start = rounds.start[which]
        return pa.table(
            [
                rows[self.key].take(pa.array(np.flatnonzero(rounds.begins)[which])),
                pa.array(start),
                pa.array(start + self.within),
                lists_of(values, rounds.kinds[which], self.rounds.field("events").type),
            ],
            schema=self.rounds,
        )


@dataclass(frozen=True)
class _Grouped:
    """Regrouped events in `state_schema`, and what is given out of them."""

    state: pa.Table
    outputs: Mapping[str, pa.Table]


@dataclass(frozen=True)
class _Rounds:
    """The rounds of sorted events.

    Attributes:
        key: The key of each event, as a number.
        begins: Which events begin a round.
        of: The round of each event.
        chosen: Which events are the first of their kind in their round.
        start: The start of each round, in ms.
        kinds: How many kinds each round has.
    """

    key: Ints
    begins: Bools
    of: Ints
    chosen: Bools
    start: Ints
    kinds: Ints


def _rounds(key: Ints, time: Ints, kind: Ints, within: int) -> _Rounds:
    begins = anchors(key, time, within)
    of = np.cumsum(begins) - 1
    order = order_by([of, kind, np.arange(len(of))])
    first = np.concatenate([[True], (np.diff(of[order]) != 0) | (np.diff(kind[order]) != 0)])[: len(order)]
    chosen = np.zeros(len(of), dtype=np.bool_)
    chosen[order[first]] = True
    return _Rounds(key, begins, of, chosen, time[begins], np.bincount(of[chosen], minlength=int(begins.sum())))


@dataclass(frozen=True)
class _Before:
    """What was given out before, held against what is true now.

    Attributes:
        unchanged: Which rounds stand as they were given out.
        gone: The first event of each row that no longer stands.
        gone_as: What that row was given out as.
    """

    unchanged: Bools
    gone: npt.NDArray[np.intp]
    gone_as: npt.NDArray[np.int8]


def _before(rows: pa.Table, rounds: _Rounds, emission: Ints) -> _Before:
    """Compares sorted events with what the state says of them."""
    start, emitted = rows["start"].to_numpy(), rows["emitted"].to_numpy()
    was_chosen = rows["chosen"].to_numpy()
    same = (start == rounds.start[rounds.of]) & (emitted == emission[rounds.of])
    # The events of a row are neighbours among those that were given out, and its first one is the one it began with.
    out = np.flatnonzero(was_chosen & (emitted != OPEN))
    begins = np.concatenate([[True], (np.diff(start[out]) != 0) | (np.diff(rounds.key[out]) != 0)])[: len(out)]
    row = np.cumsum(begins) - 1
    first = out[begins]
    stands = np.bincount(row[same[out] & rounds.chosen[out]], minlength=len(first))
    size = np.bincount(row, minlength=len(first))
    unchanged = np.zeros(len(rounds.start), dtype=np.bool_)
    unchanged[rounds.of[first[(stands == size) & (size == rounds.kinds[rounds.of[first]])]]] = True
    gone = first[~same[first]]
    return _Before(unchanged, gone, emitted[gone])


def _unknown(events: pa.Table) -> pa.Table:
    """Events that no round knows yet."""
    rows = events.num_rows
    for known, value in zip(
        ROUND, (np.zeros(rows, np.int64), np.zeros(rows, np.int8), np.zeros(rows, np.bool_)), strict=True
    ):
        events = events.append_column(known, pa.array(value))
    return events


def _difference(after: pa.Table, before: pa.Table, emitted: int) -> int:
    """How many more events are given out as this than before."""
    return sum(sign * int((rows["emitted"].to_numpy() == emitted).sum()) for sign, rows in ((1, after), (-1, before)))
