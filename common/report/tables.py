"""What the records of the other output streams say, as small tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.streams.columns import as_array, timestamps_to_ms

Ints = npt.NDArray[np.int64]

_NUMBER = r"-?\d+(\.\d+)?"


def last_of_each(keys: Sequence[pa.Array]) -> Ints:
    """The last row of each key, ascending.

    Args:
        keys: The columns of the key, without nulls.
    """
    names = [str(place) for place in range(len(keys))]
    rows = pa.table([*keys, pa.array(np.arange(len(keys[0])))], names=[*names, "row"])
    return np.sort(rows.group_by(names).aggregate([("row", "max")])["row_max"].to_numpy())


def engagements(records: pa.Table) -> pa.Table:
    """Each advertisement after all corrections: `advertisement`, `conversions` (0 for none), `name`, `type`.

    Args:
        records: Records of `ad-engagements`, in order. Names are null where the advertisement is unknown.
    """
    keys = as_array(records["key"])
    latest = records.take(pa.array(last_of_each([keys])))
    latest = latest.filter(latest["value"].is_valid())
    value = as_array(latest["value"])
    columns = [latest["key"], pc.fill_null(value.field("sum"), 0), value.field("name"), value.field("type")]
    return pa.table(columns, names=["advertisement", "conversions", "name", "type"])


def lateness(records: pa.Table) -> pa.Table:
    """How late each late event was: `stream`, and `late`, by how much (ms) its time lay behind the watermark.

    Args:
        records: Records of `late-events`.
    """
    value = as_array(records["value"])
    behind = pc.subtract(timestamps_to_ms(value.field("watermark")), timestamps_to_ms(value.field("eventTime")))
    return pa.table({"stream": value.field("stream"), "late": behind})


def reasons(records: pa.Table) -> pa.Table:
    """Why records were set aside: `reason`, with `…` for its numbers, `stream` and `records`, the most first.

    Args:
        records: Records of `dead-letters`.
    """
    value = as_array(records["value"])
    reason = pc.replace_substring_regex(value.field("reason"), _NUMBER, "…")
    every = pa.table({"reason": reason, "stream": value.field("stream"), "records": value.field("records")})
    counted = every.group_by(["reason", "stream"]).aggregate([("records", "sum")])
    counted = counted.select(["reason", "stream", "records_sum"]).rename_columns(["reason", "stream", "records"])
    return counted.sort_by([("records", "descending"), ("reason", "ascending"), ("stream", "ascending")])
