"""From the contracts of the input streams to facts and rows, and from late facts to actions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from common.operators.sessions import LATE
from common.streams.columns import as_array, timestamps_to_ms
from jobs.sessions.events import CLICK

CLICKS = pa.schema(
    [
        pa.field("advertisementId", pa.int64(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("userId", pa.string(), nullable=False),
    ]
)
"""The facts."""
ADVERTISEMENTS = pa.schema(
    [CLICKS.field("advertisementId"), pa.field("name", pa.string()), pa.field("type", pa.string())]
)
"""The rows of the dimension."""


def as_clicks(records: pa.Table) -> pa.Table:
    """Records of `ad-clicks` as `CLICKS`."""
    value = as_array(records["value"])
    time = timestamps_to_ms(value.field("createdEventTime"))
    return pa.table([value.field("advertisementId"), time, records["key"]], schema=CLICKS)


def as_advertisements(records: pa.Table) -> pa.Table:
    """Records of `advertisements` as `ADVERTISEMENTS`, and which of them are tombstones, in `isDeleted`."""
    value = as_array(records["value"])
    return pa.table(
        {
            "advertisementId": records["key"],
            "name": value.field("name"),
            "type": value.field("type"),
            "isDeleted": value.is_null(),
        }
    )


def as_actions(late: pa.Table) -> pa.Table:
    """Late `CLICKS` as `LATE` rows of the sessions operator, whose records `late-events` knows."""
    clicks = pa.array(np.full(late.num_rows, CLICK, dtype=np.int8))
    columns = {**dict(zip(late.column_names, late.columns, strict=True)), "action": clicks}
    return pa.table([columns[field.name] for field in LATE], schema=LATE)
