"""From the columns of the sessions operator to the contracts of the output streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.streams.columns import as_array, item_counts, lists_of, ms_to_timestamps
from jobs.sessions.events import ACTIONS, STREAMS


def session_records(sessions: pa.Table) -> pa.Table:
    """`SESSIONS` rows as records of `ad-sessions`: key (window, userId), value the actions or null."""
    schema = load("ad-sessions").arrow
    window_type = schema.field("key").type.field("window").type
    rows = sessions.combine_chunks()
    window = pa.StructArray.from_arrays(
        [ms_to_timestamps(as_array(rows["start"])), ms_to_timestamps(as_array(rows["end"]))], fields=list(window_type)
    )
    key = pa.StructArray.from_arrays([window, as_array(rows["userId"])], fields=list(schema.field("key").type))
    return pa.Table.from_arrays([key, _values(as_array(rows["actions"]), schema.field("value").type)], schema=schema)


def _values(actions: pa.ListArray, value_type: pa.StructType) -> pa.StructArray:
    list_type = value_type.field("actions").type
    flat = actions.flatten()
    items = pa.StructArray.from_arrays(
        [
            ms_to_timestamps(flat.field("eventTime")),
            flat.field("advertisementId"),
            pa.DictionaryArray.from_arrays(flat.field("action"), ACTIONS),
        ],
        fields=list(list_type.value_type),
    )
    lists = lists_of(items, item_counts(actions), list_type)
    return pa.StructArray.from_arrays([lists], fields=list(value_type), mask=actions.is_null())


@dataclass(frozen=True)
class LateRecords:
    """`LATE` rows as records of `late-events`, the value unchanged.

    Attributes:
        grace: The grace of the job, in ms, for the reason.
    """

    grace: int

    def __call__(self, late: pa.Table) -> pa.Table:
        schema = load("late-events").arrow
        value_type = schema.field("value").type
        rows = late.combine_chunks()
        time, watermark = as_array(rows["eventTime"]), as_array(rows["watermark"])
        columns = {
            "stream": STREAMS.take(as_array(rows["action"])),
            "value": _value_json(as_array(rows["advertisementId"]), time),
            "eventTime": ms_to_timestamps(time),
            "watermark": ms_to_timestamps(watermark),
            "grace": pa.array(np.full(len(rows), self.grace, dtype=np.int64)),
            "reason": _reason(time, watermark, self.grace),
        }
        fields = list(value_type)
        value = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
        return pa.Table.from_arrays([as_array(rows["userId"]), value], schema=schema)


def _value_json(advertisement: pa.Array, time: pa.Array) -> pa.Array:
    """The record's value as it came, in its JSON form."""
    return _join('{"advertisementId":', advertisement, ',"createdEventTime":', time, "}")


def _reason(time: pa.Array, watermark: pa.Array, grace: int) -> pa.Array:
    behind = pc.subtract(watermark, time)
    return _join("", behind, f" ms behind the watermark, grace is {grace} ms")


def _join(*pieces: str | pa.Array) -> pa.Array:
    texts = [piece if isinstance(piece, str) else piece.cast(pa.string()) for piece in pieces]
    return pc.binary_join_element_wise(*texts, "")
