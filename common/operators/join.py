"""Two tables by one key as one: inner, left, right and full outer join of entity streams.

Each side is a stream of upserts and tombstones, and is kept as a table, so this is also how an entity stream is
materialised. Neither side waits for the other: whatever comes first is there when the other comes.

Example:
    >>> operator = Join(key, left=Side("totals", TOTAL), right=Side("advertisements", ADVERTISEMENT), how="full")
    >>> events = concat([operator.left_events(ids, totals), operator.right_events(ids, advertisements)])
    >>> operator.step(state, events, time).outputs["joined"]  # key, left, right (both null: a tombstone)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.operators.keys import distinct, kept_rows, last_rows, latest, rows_or_null, same
from common.operators.sides import LEFT, RIGHT, SIDE, How, Joined, Side, Sides, changes
from common.operators.step import Step, Watermarks
from common.streams.columns import as_array


@dataclass(frozen=True)
class Join:
    """Joins two sides by their key; a key has at most one row on each side.

    Attributes:
        key: The column that both sides are keyed by, `int64` or `string`.
        left: The one side.
        right: The other side.
        how: Which keys have a joined row: those of both sides (`inner`), of one (`left`, `right`), of either (`full`).
    """

    key: pa.Field
    left: Side
    right: Side
    how: How = "full"

    @property
    def state_schema(self) -> pa.Schema:
        """The key and what each side holds of it; never neither."""
        return pa.schema([self.key, *self._columns])

    @property
    def state_key(self) -> str:
        """Kept by key."""
        return str(self.key.name)

    @property
    def event_schema(self) -> pa.Schema:
        """The two streams as one: the key, the `side`, and that side's columns, null in a tombstone."""
        return pa.schema([self.key, SIDE, *self._columns])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`joined`: each joined row that changed; both sides are null in a tombstone."""
        return {"joined": self.state_schema}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Rows that were joined in another way have been written, and would not be taken back."""
        return {
            "operator": "join",
            "how": self.how,
            "key": str(self.key),
            "left": str(self.left.columns),
            "right": str(self.right.columns),
        }

    def left_events(self, keys: pa.Array, values: pa.StructArray) -> pa.Table:
        """Upserts and tombstones of the left side as events.

        Args:
            keys: A key a record.
            values: The side's columns, null in a tombstone.
        """
        return self._events(LEFT, keys, values, pa.nulls(len(keys), self.right.columns))

    def right_events(self, keys: pa.Array, values: pa.StructArray) -> pa.Table:
        """As `left_events`, of the right side."""
        return self._events(RIGHT, keys, pa.nulls(len(keys), self.left.columns), values)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over what arrived on both sides, and tells which joined rows that changes.

        Args:
            state: `state_schema`, of the keys that arrived.
            events: `event_schema`; of several records of a key and side the last one counts.
            time: Not looked at.
        """
        keys, (held, arrived) = distinct([as_array(table[self.key.name]) for table in (state, events)])
        held_rows = last_rows(held, len(keys))
        side = events["side"].to_numpy()

        def before_and_after(number: int, name: str) -> tuple[pa.StructArray, pa.StructArray]:
            kept, new = as_array(state[name]), as_array(events[name])
            arrived_rows = last_rows(arrived, len(keys), among=np.flatnonzero(side == number))
            return rows_or_null(kept, held_rows), latest(kept, held_rows, new, arrived_rows)

        left, right = before_and_after(LEFT, "left"), before_and_after(RIGHT, "right")
        before, after = map(Sides, left, right)
        joined = Joined.of(keys, before, after, self.how, self.outputs["joined"])
        return Step(
            state=kept_rows([keys, after.left, after.right], after.joined("full"), self.state_schema),
            outputs={"joined": joined.rows},
            counters={
                **changes(self.left.name, int((side == LEFT).sum()), int((~same(*left)).sum())),
                **changes(self.right.name, int((side == RIGHT).sum()), int((~same(*right)).sum())),
                **joined.counters,
            },
        )

    @property
    def _columns(self) -> tuple[pa.Field, pa.Field]:
        return pa.field("left", self.left.columns), pa.field("right", self.right.columns)

    def _events(self, side: int, keys: pa.Array, left: pa.StructArray, right: pa.StructArray) -> pa.Table:
        sides = pa.array(np.full(len(keys), side, dtype=np.int8))
        return pa.table([keys, sides, left, right], schema=self.event_schema)
