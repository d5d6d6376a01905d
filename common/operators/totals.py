"""Running totals by key, kept for ever: an unbounded table that only the keys that arrive are read from.

Example:
    >>> operator = Totals(pa.field("advertisementId", pa.int64(), nullable=False))
    >>> step = operator.step(operator.state_schema.empty_table(), events, Watermarks())
    >>> step.outputs["totals"]  # advertisementId, total (null: a tombstone)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.operators.keys import distinct, kept_rows
from common.operators.step import Step, Watermarks
from common.streams.columns import as_array

DELTA = pa.field("delta", pa.int64(), nullable=False)
TOTAL = pa.field("total", pa.int64())


@dataclass(frozen=True)
class Totals:
    """Adds up deltas (SEMANTICS.md, "Engagements").

    A total that is back at 0 is no total: its row is gone, and a tombstone says so. So the table depends on what
    stands, and not on what was counted once and taken back.

    Attributes:
        key: The column that a total is of, `int64` or `string`.
    """

    key: pa.Field

    @property
    def state_schema(self) -> pa.Schema:
        """The key and its `total`, never 0."""
        return pa.schema([self.key, TOTAL.with_nullable(nullable=False)])

    @property
    def state_key(self) -> str:
        """Kept by key."""
        return str(self.key.name)

    @property
    def event_schema(self) -> pa.Schema:
        """The key and a `delta`, which may be negative."""
        return pa.schema([self.key, DELTA])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`totals`: each that changed, with `total` null in a tombstone."""
        return {"totals": pa.schema([self.key, TOTAL])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """A total of other keys can't be added to."""
        return {"operator": "totals", "key": str(self.key)}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Adds a batch to the totals of its keys.

        Args:
            state: `state_schema`, the totals of the keys that arrived.
            events: `event_schema`, in any order.
            time: Not looked at.
        """
        keys, (held, arrived) = distinct([as_array(table[self.key.name]) for table in (state, events)])
        before = np.zeros(len(keys), dtype=np.int64)
        before[held] = state["total"].to_numpy()
        after = before.copy()
        np.add.at(after, arrived, events["delta"].to_numpy())
        rows = [keys, pa.array(after, mask=after == 0)]
        changed = kept_rows(rows, after != before, self.outputs["totals"])
        return Step(
            state=kept_rows(rows, after != 0, self.state_schema),
            outputs={"totals": changed},
            counters={
                "totals_upserted": changed.num_rows - changed["total"].null_count,
                "totals_retracted": changed["total"].null_count,
            },
        )
