"""A table as it is in a database, from the log of its changes: the newest row of each key.

The log is delivered at least once, and a key's changes in order: after a crash a stretch of it comes again. So a
change whose place in the log is not behind the last one of its key is dropped. A row that a snapshot read has no
place of its own, as transactions that were running then may have written before it and ended after it; it holds
as it comes, and any change that comes later replaces it.

A truncation empties the whole table: it is sent to every bucket, and removes what stands before it in the log.
Whoever writes has ended when a table is truncated, so the log's places tell before from after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.order import order_by
from common.operators.step import BEGINNING, END, Step, Watermarks

SNAPSHOT, CHANGE, TRUNCATION, ECHO, MARK = range(5)
"""The kinds of events: a row that a snapshot read, a change, the end of all rows, the same as it reaches the other
buckets, and the null value that follows a deletion. Neither echoes nor marks are records that tell something."""

STATE = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("changed", pa.bool_(), nullable=False),
        pa.field("there", pa.bool_(), nullable=False),
    ]
)
"""The last event of each key: its place, whether it was a change, whether it left a row. No key: the last truncation."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Replica:
    """The newest row of each key.

    Attributes:
        row: What a row holds besides its key.
    """

    row: pa.StructType

    state_schema: pa.Schema = STATE
    state_key: None = None

    @property
    def event_schema(self) -> pa.Schema:
        """`key`, `position` in the log, `kind`, and the `row`: null for a deletion. No time: no change is too late."""
        return pa.schema(
            [
                pa.field("key", pa.string(), nullable=False),
                pa.field("position", pa.int64(), nullable=False),
                pa.field("kind", pa.int8(), nullable=False),
                pa.field("row", self.row),
            ]
        )

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`table`: `key` and `row`, null for a tombstone; at most one record a key and step."""
        return {"table": pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("row", self.row)])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """The state holds no rows, so it depends on no parameter."""
        return {"operator": "replica"}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Brings the table to where the log is.

        Args:
            state: `STATE`, in any order.
            events: As `event_schema`; those of one key in the order of the log, but for what comes again.
            time: Not looked at.
        """
        kind = events["kind"].to_numpy()
        truncations, arrived = events.filter((kind == TRUNCATION) | (kind == ECHO)), events.filter(kind < TRUNCATION)
        before = _truncated(state)
        truncated = max([before, *truncations["position"].to_pylist()])
        held = state.filter(state["key"].is_valid())
        touched = pc.is_in(held["key"], value_set=arrived["key"].unique()).to_numpy()
        touched |= held["position"].to_numpy() < truncated
        newest = _newest(held.filter(touched), arrived, truncated)

        marks = (
            [] if truncated == BEGINNING else [{"key": None, "position": truncated, "changed": True, "there": False}]
        )
        after = pa.concat_tables(
            [held.filter(~touched), newest.state, pa.Table.from_pylist(marks, schema=STATE)]
        ).combine_chunks()
        table = pa.Table.from_arrays([newest.keys, newest.rows], schema=self.outputs["table"])
        counters = {
            "changes": newest.changes,
            "stale": arrived.num_rows - newest.changes,
            "truncations": int((kind == TRUNCATION).sum()),
            "marks": int((kind == MARK).sum()),
        }
        return Step(after, {"table": table}, counters, {"rows": pc.sum(after["there"]).as_py() or 0}, END)


@dataclass(frozen=True)
class _Newest:
    """What became of some keys: their state, what is told of them, and how many events that took."""

    state: pa.Table
    keys: pa.Array
    rows: pa.Array
    changes: int


def _newest(held: pa.Table, arrived: pa.Table, truncated: int) -> _Newest:
    """The newest event of each key, out of what is held and what arrived; truncated ones are gone.

    Args:
        held: `STATE` of the keys.
        arrived: Their events.
        truncated: Where the last truncation stands.
    """
    count = held.num_rows
    keys = pa.chunked_array([*held["key"].chunks, *arrived["key"].chunks], pa.string()).combine_chunks()
    encoded = keys.dictionary_encode() if len(keys) else pa.array([], pa.string()).dictionary_encode()
    codes = encoded.indices.to_numpy()
    position = np.concatenate([held["position"].to_numpy(), arrived["position"].to_numpy()])
    changed = np.concatenate([held["changed"].to_numpy(), arrived["kind"].to_numpy() == CHANGE])
    last = _last(codes, count, changed, position)

    came, gone = last >= count, position[last] < truncated
    known, was = np.zeros((2, len(encoded.dictionary)), dtype=np.bool_)
    known[codes[:count]], was[codes[:count]] = True, held["there"].to_numpy()
    filled = np.concatenate([held["there"].to_numpy(), arrived["row"].is_valid().to_numpy()])
    there = filled[last] & ~gone
    # A key that was never heard of may still stand in the stream, from before the state was reset.
    told = (came & there) | (~there & was) | (~there & came & ~known & ~gone)

    rows = (
        arrived["row"]
        .combine_chunks()
        .take(pa.array(np.where(came & there, last - count, -1)[told], mask=~there[told]))
    )
    return _Newest(
        state=pa.table(
            [
                encoded.dictionary.take(pa.array(np.flatnonzero(~gone))),
                position[last][~gone],
                changed[last][~gone],
                there[~gone],
            ],
            schema=STATE,
        ),
        keys=encoded.dictionary.take(pa.array(np.flatnonzero(told))),
        rows=rows,
        changes=int((came & ~gone).sum()),
    )


def _last(codes: Ints, held: int, changed: Bools, position: Ints) -> Ints:
    """The number of the newest row of each code; the first `held` rows are what is held, the others came in order.

    A snapshot's row is newer than all before it, a change than the snapshot's row before it, and than changes of
    lower places.
    """
    number = np.arange(len(codes))
    in_order = order_by([codes, number])
    snapshots = np.empty(len(codes), dtype=np.int64)
    snapshots[in_order] = np.cumsum((~changed & (number >= held))[in_order])
    # At equal places what is held is newest: the other one came again.
    tie = np.where(number < held, len(codes), number)
    order = order_by([codes, snapshots, changed.astype(np.int8), position, tie])
    sorted_codes = codes[order]
    return order[np.append(sorted_codes[1:] != sorted_codes[:-1], True)] if len(order) else order


def _truncated(state: pa.Table) -> int:
    """Where the last truncation stands that the state knows of; `BEGINNING` for none."""
    return max([BEGINNING, *state.filter(state["key"].is_null())["position"].to_pylist()])
