"""From Debezium's envelope to the columns of the replica operator.

What is internal to the table ends here: only the fields of `ROW` go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.errors import AdstreamError
from common.operators.buckets import key_in_each
from common.operators.replica import CHANGE, ECHO, MARK, SNAPSHOT, TRUNCATION, Replica
from common.operators.step import BEGINNING
from common.streams.columns import as_array, enum_texts

PRIVATE, PUBLIC = "advertisement-changes", "advertisements"
ROW: pa.StructType = load(PUBLIC).arrow.field("value").type
"""What is published of a row."""
EVENTS = Replica(ROW).event_schema


@dataclass(frozen=True)
class AsChange:
    """Records of `advertisement-changes` as events of the replica; a truncation as one event for each bucket.

    A row whose owner deleted it is gone, like one that was deleted.

    Attributes:
        buckets: How many buckets the job has.
    """

    buckets: int

    @cached_property
    def _everywhere(self) -> pa.Array:
        return key_in_each(self.buckets)

    def __call__(self, records: pa.Table) -> pa.Table:
        told = records.filter(records["value"].is_valid()).combine_chunks()
        operation = _operations(told)
        truncated = pc.equal(operation, "t")
        keyless = records["key"].is_null().to_numpy()
        keyless[np.flatnonzero(records["value"].is_valid().to_numpy())[truncated.to_numpy(zero_copy_only=False)]] = (
            False
        )
        if keyless.any():
            raise AdstreamError(
                f"stream '{PRIVATE}': a change without a key", "give the table a primary key, and take it up anew"
            )
        changes = self._changes(told.filter(pc.invert(truncated)))
        return pa.concat_tables([changes, self._truncations(told.filter(truncated)), _marks(records)])

    def _changes(self, told: pa.Table) -> pa.Table:
        if not told.num_rows:
            return EVENTS.empty_table()
        value = told["value"].combine_chunks()
        operation, after = _operations(told), value.field("after")
        gone = pc.or_(after.is_null(), pc.fill_null(pc.struct_field(after, "is_deleted"), True))
        fields = [pc.struct_field(after, child.name) for child in ROW]
        row = pa.StructArray.from_arrays([pc.fill_null(field, "") for field in fields], fields=list(ROW), mask=gone)
        kind = pc.if_else(pc.equal(operation, "r"), pa.scalar(SNAPSHOT, pa.int8()), pa.scalar(CHANGE, pa.int8()))
        key = told["key"].combine_chunks().field("id").cast(pa.string())
        return pa.table([key, _position(value), kind, row], schema=EVENTS)

    def _truncations(self, told: pa.Table) -> pa.Table:
        if not told.num_rows:
            return EVENTS.empty_table()
        rows, places = told.num_rows, len(self._everywhere)
        each = pa.array(np.repeat(np.arange(rows), places))
        position = _position(told["value"].combine_chunks()).take(each)
        keys = self._everywhere.take(pa.array(np.tile(np.arange(places), rows)))
        kind = pa.array(np.where(np.arange(rows * places) % places, ECHO, TRUNCATION).astype(np.int8))
        return pa.table([keys, position, kind, pa.nulls(rows * places, ROW)], schema=EVENTS)


def _marks(records: pa.Table) -> pa.Table:
    """The null values that follow deletions, for compaction."""
    marks = records.filter(records["value"].is_null()).combine_chunks()
    if not marks.num_rows:
        return EVENTS.empty_table()
    nowhere = pa.array(np.full(marks.num_rows, BEGINNING))
    kind = pa.array(np.full(marks.num_rows, MARK, dtype=np.int8))
    key = as_array(marks["key"]).field("id").cast(pa.string())
    return pa.table([key, nowhere, kind, pa.nulls(marks.num_rows, ROW)], schema=EVENTS)


def _operations(told: pa.Table) -> pa.Array:
    """The operation of each record, as text."""
    if not told.num_rows:
        return pa.array([], pa.string())
    return enum_texts(told["value"].combine_chunks().field("op"))


def _position(value: pa.StructArray) -> pa.Array:
    """The place of each change in the database's log."""
    return value.field("source").field("lsn")


def advertisement_records(rows: pa.Table) -> pa.Table:
    """Rows of the replica as records of `advertisements`."""
    return pa.table([rows["key"].cast(pa.int64()), rows["row"]], schema=load(PUBLIC).arrow)
