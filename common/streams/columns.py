"""Columns between contracts and operators: timestamps (`timestamp[ms, UTC]` and `int64` epoch ms), enums, lists, single arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

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


def item_counts(lists: pa.ListArray) -> Ints:
    """How many items each list has; 0 for a null."""
    counts: Ints = lists.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    return counts


def lists_of(
    items: pa.Array, counts: Ints, kind: pa.ListType | None = None, nulls: pa.BooleanArray | None = None
) -> pa.ListArray:
    """Items as lists.

    Args:
        items: The items of all lists, one list after another.
        counts: How many each list has.
        kind: The type of the lists; that of the items says it if None.
        nulls: Which lists are null in the place of empty; none if None.
    """
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind, mask=nulls)


def relisted(lists: pa.ListArray, items: pa.Array, kind: pa.ListType | None = None) -> pa.ListArray:
    """Lists with other items in the place of their own; null where they are.

    Args:
        lists: The lists.
        items: As many as `lists.flatten()` gives.
        kind: As in `lists_of`.
    """
    return lists_of(items, item_counts(lists), kind, lists.is_null() if lists.null_count else None)


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
