"""Rows that are equal in some columns, found by one sort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.operators.order import order_by

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Groups:
    """Rows in groups; the groups are in the order of the columns that made them.

    Attributes:
        order: The rows, those of a group side by side.
        starts: Where in `order` each group starts.
    """

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]

    @property
    def heads(self) -> npt.NDArray[np.intp]:
        """The first row of each group."""
        return np.minimum.reduceat(self.order, self.starts)

    def total(self, values: Ints) -> Ints:
        """The sum of the values of each group's rows."""
        return np.add.reduceat(values[self.order], self.starts)

    def any(self, mask: Bools) -> Bools:
        """Whether the mask is true for any row of each group."""
        return np.logical_or.reduceat(mask[self.order], self.starts)

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A value for each row out of one for each group."""
        spread = np.empty(len(self.order), dtype=values.dtype)
        spread[self.order] = np.repeat(values, np.diff(np.append(self.starts, len(self.order))))
        return spread


def group_by(columns: Sequence[Ints]) -> Groups:
    """Groups the rows that are equal in all columns.

    Args:
        columns: Integers of one length, the most significant first; `codes` makes them of other columns.
    """
    order = order_by(columns)
    new = np.zeros(len(order), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= np.diff(column[order]) != 0
    return Groups(order, np.flatnonzero(new))


def codes(column: pa.ChunkedArray) -> Ints:
    """An integer for each row, equal where the rows are: integers themselves, the bits of floats, numbered strings.

    Args:
        column: `string`, `float64` or any integer type, without nulls.
    """
    if column.type == pa.string():
        return column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    values = column.to_numpy()
    return values.view(np.int64) if column.type == pa.float64() else values.astype(np.int64)


def among(rows: pa.Table, others: pa.Table, columns: Sequence[str]) -> Bools:
    """For each row, whether one of the others is equal to it in these columns.

    Args:
        rows: A table with these columns, without nulls in them.
        others: Another one, with the same types.
        columns: Names of `string`, `float64` or integer columns.
    """
    if rows.num_rows == 0 or others.num_rows == 0:
        return np.zeros(rows.num_rows, dtype=np.bool_)
    both = pa.concat_tables([rows.select(columns), others.select(columns)])
    groups = group_by([codes(both[name]) for name in columns])
    found: Bools = groups.spread(groups.any(np.arange(both.num_rows) >= rows.num_rows))
    return found[: rows.num_rows]
