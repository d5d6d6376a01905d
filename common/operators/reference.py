"""What a join over a reference is about: rows that each refer to one target, by a column that may change.

Example:
    >>> join = ForeignKey(key, reference, row=Side("campaigns", CAMPAIGN), target=Side("customers", CUSTOMER))
    >>> rows = join.rows(ids, customer_ids, campaigns)  # null in a tombstone
    >>> targets = join.targets(customer_ids, customers)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from common.operators.sides import Side


@dataclass(frozen=True)
class ForeignKey:
    """Which rows refer to which targets, and how they are joined.

    Attributes:
        key: The column that rows are keyed by, `int64` or `string`.
        reference: The column that targets are keyed by, of another name than `key`, `int64` or `string`.
        row: What a row is, its key left out.
        target: What a target is, its key left out.
        how: Whether a row without a target is joined with null (`left`) or not at all (`inner`).
    """

    key: pa.Field
    reference: pa.Field
    row: Side
    target: Side
    how: Literal["inner", "left"] = "left"

    @property
    def nullable_reference(self) -> pa.Field:
        """The reference, as rows have it: null where they refer to nothing."""
        return self.reference.with_nullable(nullable=True)

    @property
    def row_schema(self) -> pa.Schema:
        """Upserts and tombstones of rows: the key, the reference, and the row, null in a tombstone."""
        return pa.schema([self.key, self.nullable_reference, pa.field("left", self.row.columns)])

    @property
    def target_schema(self) -> pa.Schema:
        """Upserts and tombstones of targets: the reference, and the target, null in a tombstone."""
        return pa.schema([self.reference, pa.field("right", self.target.columns)])

    def rows(self, keys: pa.Array, references: pa.Array, rows: pa.StructArray) -> pa.Table:
        """Columns as `row_schema`; a tombstone refers to nothing, whatever stands there.

        Args:
            keys: A key a record.
            references: What each row refers to; null for nothing.
            rows: The row's columns, null in a tombstone.
        """
        known = pc.if_else(rows.is_valid(), references, pa.scalar(None, references.type))
        return pa.table([keys, known, rows], schema=self.row_schema)

    def targets(self, keys: pa.Array, targets: pa.StructArray) -> pa.Table:
        """Columns as `target_schema`.

        Args:
            keys: A key a record.
            targets: The target's columns, null in a tombstone.
        """
        return pa.table([keys, targets], schema=self.target_schema)
