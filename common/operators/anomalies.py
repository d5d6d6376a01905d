"""What an operator that looks for anomalies says: findings, and what takes them back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from common.operators.groups import among

KEY = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
    ]
)
VALUE = pa.schema(
    [
        pa.field("observed", pa.float64()),
        pa.field("expected", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("support", pa.int64()),
    ]
)
ANOMALIES = pa.schema([*KEY, *VALUE])
"""A finding: what was observed of a subject in a window (epoch ms), what was expected, how far apart they are, and how
many events it rests on. All four are null in a tombstone."""


def anomalies(
    kind: str, subject: pa.ChunkedArray, window: tuple[pa.ChunkedArray, pa.ChunkedArray], *value: np.ndarray
) -> pa.Table:
    """Findings of one kind as `ANOMALIES`.

    Args:
        kind: The kind.
        subject: Whom it is about: strings, or integers, which become their digits.
        window: The start and the end of each window, in epoch ms.
        *value: Observed, expected and score as floats, and the support as integers.
    """
    kinds = pa.array([kind], pa.string()).take(pa.array(np.zeros(len(subject), dtype=np.int64)))
    columns = [kinds, subject.cast(pa.string()), *window, *map(pa.array, value)]
    return pa.Table.from_arrays(columns, schema=ANOMALIES)


def changes(before: pa.Table, after: pa.Table) -> pa.Table:
    """What turns one set of findings into another: tombstones for those that are gone, then those that are new or other.

    Args:
        before: `ANOMALIES` that stood, each key once.
        after: `ANOMALIES` that stand now, each key once.
    """
    gone = before.filter(pa.array(~among(before, after, KEY.names))).select(KEY.names)
    upserts = after.filter(pa.array(~among(after, before, ANOMALIES.names)))
    nothing = [pa.nulls(gone.num_rows, field.type) for field in VALUE]
    tombstones = pa.Table.from_arrays([*gone.columns, *nothing], schema=ANOMALIES)
    return pa.concat_tables([tombstones, upserts]) if gone.num_rows else upserts
