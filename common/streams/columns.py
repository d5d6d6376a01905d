"""Columns between contracts and operators: timestamps (`timestamp[ms, UTC]` and `int64` epoch ms), enums, single arrays."""

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


def enum_texts(array: pa.DictionaryArray, texts: pa.Array | None = None) -> pa.Array:
    """An enum as text.

    Args:
        array: The enum. Below a null struct Arrow lets it point anywhere, even into an empty dictionary.
        texts: What stands for each entry of its dictionary; the entry itself if None.
    """
    entries = array.dictionary if texts is None else texts
    return entries.take(array.indices) if len(entries) else pa.nulls(len(array), entries.type)


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
