"""What operators over any columns share: rows by a mask, rows as numbers, an order that only depends on what rows say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.operators.order import order_by
from common.streams.columns import as_array
from common.streams.json_text import json_lines

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def order_of(columns: Sequence[npt.NDArray[np.integer]], rows: pa.Table) -> npt.NDArray[np.intp]:
    """The order by some columns, and of rows that are equal in these by all that they hold.

    Rows that are equal in everything keep their order.

    Args:
        columns: Integer arrays, the most significant first.
        rows: The rows themselves, of the types that contracts use.
    """
    if rows.num_rows == 0:
        return np.zeros(0, dtype=np.intp)
    place = np.arange(rows.num_rows, dtype=np.int64)
    order = order_by([*columns, place])
    tied = _tied([column[order] for column in columns])
    if not tied.any():
        return order
    # Rows that tie are rare, and text is slow: only theirs is made.
    content = np.zeros(len(order), dtype=np.int64)
    among = order[tied]
    texts = json_lines(rows.take(pa.array(among))).to_numpy(zero_copy_only=False)
    content[among] = np.unique(texts, return_inverse=True)[1]
    return order_by([*columns, content, place])


def codes_of(rows: pa.Table, names: Sequence[str]) -> Ints:
    """A number for each row: equal for rows that are equal in these columns.

    Args:
        rows: The rows.
        names: Columns without nulls.
    """
    codes: Ints = np.zeros(rows.num_rows, dtype=np.int64)
    if rows.num_rows == 0:
        return codes
    for name in names:
        found = as_array(rows[name]).dictionary_encode().indices.to_numpy().astype(np.int64)
        codes = np.unique(codes * (int(found.max()) + 1) + found, return_inverse=True)[1]
    return codes


def _tied(columns: Sequence[npt.NDArray[np.integer]]) -> npt.NDArray[np.bool_]:
    """Of sorted rows, which are equal to a neighbour in all columns."""
    same = np.ones(len(columns[0]) - 1, dtype=np.bool_)
    for column in columns:
        same &= column[1:] == column[:-1]
    return np.concatenate([same, [False]]) | np.concatenate([[False], same])


def keep(table: pa.Table, mask: Bools) -> pa.Table:
    """The rows where the mask is true; the table itself, uncopied, where that is all of them."""
    if mask.all():
        return table
    return table.filter(pa.array(mask)) if mask.any() else table.slice(0, 0)


def split(table: pa.Table, mask: Bools) -> tuple[pa.Table, pa.Table]:
    """The rows where the mask is false, and those where it is true."""
    return keep(table, ~mask), keep(table, mask)


WATERMARK = pa.field("watermark", pa.int64(), nullable=False)
"""The watermark that made an event late, in ms."""


def late_schema(events: pa.Schema) -> pa.Schema:
    """The schema of an output of late events."""
    return events.append(WATERMARK)


def late_rows(events: pa.Table, watermark: int) -> pa.Table:
    """Late events, with the watermark that made them late."""
    return events.append_column(WATERMARK, pa.array(np.full(events.num_rows, watermark, dtype=np.int64)))
