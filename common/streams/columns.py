"""Columns between contracts and operators: timestamps (`timestamp[ms, UTC]` and `int64` epoch ms), and single arrays."""

from __future__ import annotations

from typing import TypeVar

import pyarrow as pa

TIMESTAMP = pa.timestamp("ms", tz="UTC")
"""How a contract's timestamp-millis looks in memory."""

Column = TypeVar("Column", pa.Array, pa.ChunkedArray)


def timestamps_to_ms(column: Column) -> Column:
    """`timestamp[ms, UTC]` as `int64` epoch ms; a view, so nulls stay nulls."""
    return _viewed(column, pa.int64())


def ms_to_timestamps(column: Column) -> Column:
    """`int64` epoch ms as `timestamp[ms, UTC]`; a view, so nulls stay nulls."""
    return _viewed(column, TIMESTAMP)


def _viewed(column: Column, to: pa.DataType) -> Column:
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([chunk.view(to) for chunk in column.chunks], to)
    return column.view(to)


def as_array(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; a copy only where it has several chunks."""
    chunks = column.chunks
    if not chunks:
        return pa.array([], column.type)
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
