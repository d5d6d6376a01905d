"""Rows by key: what operators over tables by key share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def distinct(arrays: Sequence[pa.Array]) -> tuple[pa.Array, list[Ints]]:
    """The distinct keys of several arrays, and of each array the place of every row among them.

    Args:
        arrays: At least one array; all of one type that can be dictionary-encoded, without nulls.
    """
    encoded = pa.concat_arrays(arrays).dictionary_encode()
    places = encoded.indices.to_numpy().astype(np.int64)
    return encoded.dictionary, np.split(places, np.cumsum([len(array) for array in arrays])[:-1])


def last_rows(places: Ints, keys: int, among: Ints | None = None) -> Ints:
    """The last row of each key, -1 for a key without one.

    Args:
        places: The key of each row, as `distinct` numbers it.
        keys: How many keys there are.
        among: The rows that count, ascending; all when not given.
    """
    rows = np.arange(len(places)) if among is None else among
    last = np.full(keys, -1, dtype=np.int64)
    last[places[rows]] = rows  # of several rows of a key numpy keeps the last
    return last


def latest(held: pa.Array, held_rows: Ints, arrived: pa.Array, arrived_rows: Ints) -> pa.Array:
    """What each key has now: what arrived, else what is held, else null.

    Args:
        held: Values from the state.
        held_rows: The row of each key in `held`, -1 for none.
        arrived: Values of the same type from the events; null where a key has lost its value.
        arrived_rows: The row of each key in `arrived`, -1 for none.
    """
    rows = np.where(arrived_rows >= 0, arrived_rows + len(held), held_rows)
    return rows_or_null(pa.concat_arrays([held, arrived]), rows)


def rows_or_null(array: pa.Array, rows: Ints) -> pa.Array:
    """The rows of an array, in the order asked for; null for a row of -1."""
    return array.take(pa.array(rows, mask=rows < 0))


def kept_rows(arrays: Sequence[pa.Array], kept: Bools, schema: pa.Schema) -> pa.Table:
    """Some of the rows of columns, as a table.

    Args:
        arrays: The columns, in the order and the types of `schema`; all of one length.
        kept: Which rows.
        schema: The schema of the table; what it says of nulls must hold for the rows that are kept.
    """
    mask = pa.array(kept)
    return pa.table([array.filter(mask) for array in arrays], schema=schema)


def valid(array: pa.Array) -> Bools:
    """Where an array has a value."""
    is_valid: Bools = array.is_valid().to_numpy(zero_copy_only=False)
    return is_valid


def same(one: pa.Array, other: pa.Array) -> Bools:
    """Row by row, whether two arrays of one type and length hold the same; null is the same as null."""
    both, neither = valid(one) & valid(other), ~valid(one) & ~valid(other)
    return neither | (both & _same_values(one, other))


def _same_values(one: pa.Array, other: pa.Array) -> Bools:
    """As `same`, for the rows that are valid in both; what it says of others has no meaning."""
    if pa.types.is_struct(one.type):
        alike = np.ones(len(one), dtype=np.bool_)
        for place in range(one.type.num_fields):
            alike &= same(one.field(place), other.field(place))
        return alike
    if pa.types.is_list(one.type):
        return _same_lists(one, other)
    return pc.fill_null(pc.equal(one, other), fill_value=False).to_numpy(zero_copy_only=False)


def _same_lists(one: pa.ListArray, other: pa.ListArray) -> Bools:
    lengths = [array.value_lengths().fill_null(-1).to_numpy() for array in (one, other)]
    alike: Bools = lengths[0] == lengths[1]
    rows = np.flatnonzero(alike & (lengths[0] > 0))
    elements = same(*(array.take(pa.array(rows)).flatten() for array in (one, other)))
    alike[np.repeat(rows, lengths[0][rows])[~elements]] = False
    return alike
