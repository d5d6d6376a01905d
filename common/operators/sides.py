"""The two sides of a join: which keys have a joined row, and what of that is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from common.operators.keys import Bools, kept_rows, same, valid

LEFT, RIGHT = 0, 1
"""What the column `side` of an event says: which of two streams it is of."""
SIDE = pa.field("side", pa.int8(), nullable=False)

How = Literal["inner", "left", "right", "full"]
"""Which keys have a joined row: those of both sides, of the left, of the right, of either."""


@dataclass(frozen=True)
class Side:
    """What one side of a join is.

    Attributes:
        name: What its counters are called by.
        columns: What a row of it holds, the key left out.
    """

    name: str
    columns: pa.StructType


@dataclass(frozen=True)
class Sides:
    """What each side holds, by key; null where it holds nothing."""

    left: pa.StructArray
    right: pa.StructArray

    def joined(self, how: How) -> Bools:
        """Which keys have a joined row."""
        left, right = valid(self.left), valid(self.right)
        return {"inner": left & right, "left": left, "right": right, "full": left | right}[how]


@dataclass(frozen=True)
class Joined:
    """What a batch changes in the joined rows.

    Attributes:
        rows: Tombstones, in which both sides are null, then upserts.
        upserted: How many upserts there are.
        retracted: How many tombstones there are.
    """

    rows: pa.Table
    upserted: int
    retracted: int

    @classmethod
    def of(cls, keys: pa.Array, before: Sides, after: Sides, how: How, schema: pa.Schema) -> Joined:
        """Compares the sides of keys before and after a batch.

        Args:
            keys: The keys.
            before: Their sides, as joined rows were written of them.
            after: Their sides now.
            how: Which keys have a joined row.
            schema: The columns of the rows: the key, `left` and `right`.
        """
        was, is_ = before.joined(how), after.joined(how)
        stands = was & same(before.left, after.left) & same(before.right, after.right)
        gone = keys.filter(pa.array(was & ~is_))
        nulls = [pa.nulls(len(gone), side.type) for side in (after.left, after.right)]
        upserts = kept_rows([keys, after.left, after.right], is_ & ~stands, schema)
        rows = pa.concat_tables([pa.table([gone, *nulls], schema=schema), upserts])
        return cls(rows, upserts.num_rows, len(gone))

    @property
    def counters(self) -> dict[str, int]:
        """For a step."""
        return {"joined_upserted": self.upserted, "joined_retracted": self.retracted}


def changes(name: str, arrived: int, changed: int) -> dict[str, int]:
    """How many records of a side changed it; all others said what was known, or were followed by another.

    Args:
        name: What the side is called.
        arrived: How many records of it came.
        changed: How many of its keys have something else than before.
    """
    return {f"{name}_changed": changed, f"{name}_unchanged": arrived - changed}
