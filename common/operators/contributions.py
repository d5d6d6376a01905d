"""What entities add to totals: upserts and tombstones as deltas, so that nothing is counted twice.

Example:
    >>> operator = Contributions("session", pa.field("advertisementId", pa.int64(), nullable=False))
    >>> step = operator.step(operator.state_schema.empty_table(), events, Watermarks())
    >>> step.outputs["deltas"]  # advertisementId, delta
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.operators.keys import distinct, kept_rows, last_rows, latest, rows_or_null, same
from common.operators.step import Step, Watermarks
from common.operators.totals import DELTA
from common.streams.columns import as_array, item_counts

AMOUNT = pa.field("amount", pa.int64(), nullable=False)


@dataclass(frozen=True)
class Contributions:
    """Turns what an entity contributes now into the difference to what it contributed before.

    An entity that is corrected first takes its old contribution back; one that comes again unchanged adds nothing.
    What each has contributed is kept for ever, so a correction may come at any time. Entities that contribute
    nothing are not kept.

    Attributes:
        entity: The name of the `string` column that tells entities apart.
        key: The column that contributions are for, `int64` or `string`.
        measure: What is counted, for people; a kept state of another measure is refused.
    """

    entity: str
    key: pa.Field
    measure: str = ""

    @property
    def contributions(self) -> pa.ListType:
        """The type of what an entity contributes: an `amount` for each of some keys, in the keys' order."""
        return pa.list_(pa.field("item", pa.struct([self.key, AMOUNT]), nullable=False))

    @property
    def state_schema(self) -> pa.Schema:
        """An entity and what it contributed, never nothing."""
        return pa.schema(
            [
                pa.field(self.entity, pa.string(), nullable=False),
                pa.field("contributions", self.contributions, nullable=False),
            ]
        )

    @property
    def state_key(self) -> str:
        """Kept by entity."""
        return self.entity

    @property
    def event_schema(self) -> pa.Schema:
        """An entity and what it contributes now; null where it is no more (a tombstone)."""
        return pa.schema(
            [pa.field(self.entity, pa.string(), nullable=False), pa.field("contributions", self.contributions)]
        )

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`deltas`: what is to be added to each key, never 0; one row a key and step."""
        return {"deltas": pa.schema([self.key, DELTA])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """What was counted by another measure can't be taken back by this one."""
        return {"operator": "contributions", "measure": self.measure}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over what the entities of a batch contribute now.

        Args:
            state: `state_schema`, of the entities that arrived.
            events: `event_schema`; of several records of an entity the last one counts.
            time: Not looked at.
        """
        entities, (held, arrived) = distinct([as_array(table[self.entity]) for table in (state, events)])
        contributed, contributing = (as_array(table["contributions"]) for table in (state, events))
        held_rows, arrived_rows = (last_rows(places, len(entities)) for places in (held, arrived))
        before = rows_or_null(contributed, held_rows)
        after = latest(contributed, held_rows, contributing, arrived_rows)

        changed = ~same(before, after) & (item_counts(before) + item_counts(after) > 0)
        return Step(
            state=kept_rows([entities, after], item_counts(after) > 0, self.state_schema),
            outputs={"deltas": self._deltas(before.filter(pa.array(changed)), after.filter(pa.array(changed)))},
            counters={
                "contributions_changed": int(changed.sum()),
                "contributions_unchanged": events.num_rows - int(changed.sum()),
            },
        )

    def _deltas(self, before: pa.ListArray, after: pa.ListArray) -> pa.Table:
        """What entities add to each key when they contribute something else than before."""
        taken_back, added = before.flatten(), after.flatten()
        keys, places = distinct([items.field(self.key.name) for items in (taken_back, added)])
        delta = np.zeros(len(keys), dtype=np.int64)
        np.subtract.at(delta, places[0], taken_back.field("amount").to_numpy())
        np.add.at(delta, places[1], added.field("amount").to_numpy())
        return kept_rows([keys, pa.array(delta)], delta != 0, self.outputs["deltas"])
