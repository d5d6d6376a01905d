"""Join over a reference: many rows of one table refer to one row of another, by a column that may change.

No key is shared, so it takes three operators. The references of the rows go to what they refer to, and what is
found there comes back to the rows:

    rows ─┬─ by key ─ References ─┐
          │                       ├─ by reference ─ Subscriptions ─┐
          │          targets ─────┘                                ├─ by key ─ Responses ─ joined
          └────────────────────────────────────────────────────────┘

A response can come after the row has turned to another target. It says which reference it answers, and answers
none but that. `common/topology/foreign_key.py` puts the three into a topology.

Example:
    >>> subscribed = References(join).step(state, References(join).events(rows), time)
    >>> answered = Subscriptions(join).step(state, subscriptions_and_targets, time)
    >>> Responses(join).step(state, rows_and_responses, time).outputs["joined"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.operators.keys import (
    Bools,
    Ints,
    distinct,
    kept_rows,
    last_rows,
    latest,
    rows_or_null,
    same,
    valid,
)
from common.operators.reference import ForeignKey
from common.operators.sides import LEFT, RIGHT, SIDE, Joined, Sides, changes
from common.operators.step import Step, Watermarks
from common.streams.columns import as_array

SUBSCRIBED = pa.field("subscribed", pa.bool_())


@dataclass(frozen=True)
class References:
    """Tells each target which rows refer to it, and which no longer do.

    Attributes:
        join: Which rows refer to which targets.
    """

    join: ForeignKey

    @property
    def state_schema(self) -> pa.Schema:
        """Rows that refer to something, and to what."""
        return pa.schema([self.join.key, self.join.reference])

    @property
    def state_key(self) -> str:
        """Kept by the rows' key."""
        return str(self.join.key.name)

    @property
    def event_schema(self) -> pa.Schema:
        """A row's key and reference; null when it refers to nothing, or is no more."""
        return pa.schema([self.join.key, self.join.nullable_reference])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`subscriptions`: a reference, the row's key, and whether it is now `subscribed` or no longer."""
        subscribed = SUBSCRIBED.with_nullable(nullable=False)
        return {"subscriptions": pa.schema([self.join.reference, self.join.key, subscribed])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """References of other columns are other references."""
        return {"operator": "references", "key": str(self.join.key), "reference": str(self.join.reference)}

    def events(self, rows: pa.Table) -> pa.Table:
        """Upserts and tombstones of rows as events."""
        return rows.select(self.event_schema.names)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over what rows refer to now.

        Args:
            state: `state_schema`, of the keys that arrived.
            events: `event_schema`; of several records of a key the last one counts.
            time: Not looked at.
        """
        keys, (held, arrived) = distinct([as_array(table[self.join.key.name]) for table in (state, events)])
        kept, new = (as_array(table[self.join.reference.name]) for table in (state, events))
        held_rows = last_rows(held, len(keys))
        before = rows_or_null(kept, held_rows)
        after = latest(kept, held_rows, new, last_rows(arrived, len(keys)))
        changed = ~same(before, after)
        left, entered = changed & valid(before), changed & valid(after)
        schema = self.outputs["subscriptions"]
        subscriptions = [
            pa.table(
                [references.filter(rows), keys.filter(rows), pa.repeat(subscribed, rows.true_count)], schema=schema
            )
            for references, rows, subscribed in (
                (before, pa.array(left), False),
                (after, pa.array(entered), True),
            )
        ]
        return Step(
            state=kept_rows([keys, after], valid(after), self.state_schema),
            outputs={"subscriptions": pa.concat_tables(subscriptions)},
            counters={
                f"{self.join.row.name}_subscribed": int(entered.sum()),
                f"{self.join.row.name}_unsubscribed": int(left.sum()),
            },
        )


@dataclass(frozen=True)
class Subscriptions:
    """Sends what a target is to the rows that refer to it, when they begin to and whenever it changes.

    Its state is a row a target with the keys of all its subscribers; so a target that many rows refer to
    is rewritten as a whole when one of them comes.

    Attributes:
        join: Which rows refer to which targets.
    """

    join: ForeignKey

    @property
    def state_schema(self) -> pa.Schema:
        """A target, null while it is unknown or deleted, and its subscribers."""
        subscribers = pa.list_(pa.field("item", self.join.key.type, nullable=False))
        return self.join.target_schema.append(pa.field("subscribers", subscribers, nullable=False))

    @property
    def state_key(self) -> str:
        """Kept by the targets' key."""
        return str(self.join.reference.name)

    @property
    def event_schema(self) -> pa.Schema:
        """On the `LEFT`, a row's key and whether it is `subscribed`; on the `RIGHT`, a target, null in a tombstone."""
        reference, target = self.join.target_schema
        return pa.schema([reference, SIDE, self.join.key.with_nullable(nullable=True), SUBSCRIBED, target])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`responses`: a row's key, the reference that is answered, and the target, null when there is none."""
        return {"responses": pa.schema([self.join.key, *self.join.target_schema])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Targets of other columns can't be sent."""
        return {
            "operator": "subscriptions",
            "key": str(self.join.key),
            "reference": str(self.join.reference),
            "target": str(self.join.target.columns),
        }

    def subscription_events(self, subscriptions: pa.Table) -> pa.Table:
        """The output of `References` as events."""
        reference, key, subscribed = (as_array(subscriptions[name]) for name in subscriptions.column_names)
        return self._events(LEFT, reference, key, subscribed, pa.nulls(len(key), self.join.target.columns))

    def target_events(self, targets: pa.Table) -> pa.Table:
        """Upserts and tombstones of targets as events."""
        keys, values = (as_array(column) for column in targets.columns)
        many = len(keys)
        return self._events(RIGHT, keys, pa.nulls(many, self.join.key.type), pa.nulls(many, pa.bool_()), values)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over subscriptions and targets, and answers.

        Args:
            state: `state_schema`, of the targets that arrived.
            events: `event_schema`; of several records of a target, or of a pair, the last one counts.
            time: Not looked at.
        """
        name = self.join.reference.name
        references, (held, arrived) = distinct([as_array(table[name]) for table in (state, events)])
        is_target = events["side"].to_numpy() == RIGHT
        kept, new = (as_array(table["right"]) for table in (state, events))
        held_rows = last_rows(held, len(references))
        before = rows_or_null(kept, held_rows)
        after = latest(kept, held_rows, new, last_rows(arrived, len(references), among=np.flatnonzero(is_target)))
        changed = ~same(before, after)

        pairs = self._pairs(state, held, events.filter(pa.array(~is_target)), arrived[~is_target])
        answered = changed[pairs.reference] | (pairs.new & valid(after)[pairs.reference])
        to, about = pairs.key.filter(pa.array(answered)), pairs.reference[answered]
        responses = pa.table(
            [to, *(array.take(pa.array(about)) for array in (references, after))], schema=self.outputs["responses"]
        )
        return Step(
            state=self._state(references, after, pairs),
            outputs={"responses": responses},
            counters={
                **changes(self.join.target.name, int(is_target.sum()), int(changed.sum())),
                f"{self.join.target.name}_responses": responses.num_rows,
            },
        )

    def _events(
        self, side: int, reference: pa.Array, key: pa.Array, subscribed: pa.Array, target: pa.Array
    ) -> pa.Table:
        sides = pa.array(np.full(len(reference), side, dtype=np.int8))
        return pa.table([reference, sides, key, subscribed, target], schema=self.event_schema)

    def _pairs(self, state: pa.Table, held: Ints, events: pa.Table, arrived: Ints) -> _Pairs:
        """The subscriptions that stand after a batch of them."""
        lists = as_array(state["subscribers"])
        keys, (held_key, arrived_key) = distinct([lists.flatten(), as_array(events[self.join.key.name])])
        many = max(len(keys), 1)
        reference = np.concatenate([np.repeat(held, lists.value_lengths().to_numpy()), arrived])
        pairs, pair = np.unique(reference * many + np.concatenate([held_key, arrived_key]), return_inverse=True)
        last = last_rows(pair, len(pairs))
        subscribed = np.append(np.ones(len(held_key), dtype=np.bool_), events["subscribed"].to_numpy())[last]
        standing = pairs[subscribed]
        return _Pairs(
            reference=standing // many,
            key=keys.take(pa.array(standing % many)),
            new=(last >= len(held_key))[subscribed],
        )

    def _state(self, references: pa.Array, targets: pa.StructArray, pairs: _Pairs) -> pa.Table:
        offsets = np.searchsorted(pairs.reference, np.arange(len(references) + 1))
        type_ = self.state_schema.field("subscribers").type
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs.key, type=type_)
        return kept_rows([references, targets, lists], valid(targets) | (np.diff(offsets) > 0), self.state_schema)


@dataclass(frozen=True)
class _Pairs:
    """Rows that refer to targets, sorted by target; `new` where that came with this batch."""

    reference: Ints
    key: pa.Array
    new: Bools


@dataclass(frozen=True)
class Responses:
    """Joins rows with what their targets answered.

    Attributes:
        join: Which rows refer to which targets.
    """

    join: ForeignKey

    @property
    def state_schema(self) -> pa.Schema:
        """A row, what it refers to, and that target."""
        key, reference, left = self.join.row_schema
        return pa.schema([key, reference, left.with_nullable(nullable=False), self._right])

    @property
    def state_key(self) -> str:
        """Kept by the rows' key."""
        return str(self.join.key.name)

    @property
    def event_schema(self) -> pa.Schema:
        """On the `LEFT`, a row and its reference, null in a tombstone; on the `RIGHT`, a response."""
        key, reference, left = self.join.row_schema
        return pa.schema([key, SIDE, reference, left, self._right])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`joined`: each joined row that changed; both sides are null in a tombstone."""
        key, _, left = self.join.row_schema
        return {"joined": pa.schema([key, left, self._right])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Rows that were joined in another way have been written, and would not be taken back."""
        return {
            "operator": "responses",
            "how": self.join.how,
            "key": str(self.join.key),
            "reference": str(self.join.reference),
            "row": str(self.join.row.columns),
            "target": str(self.join.target.columns),
        }

    def row_events(self, rows: pa.Table) -> pa.Table:
        """Upserts and tombstones of rows as events."""
        keys, references, values = (as_array(column) for column in rows.columns)
        return self._events(LEFT, keys, references, values, pa.nulls(len(keys), self.join.target.columns))

    def response_events(self, responses: pa.Table) -> pa.Table:
        """The output of `Subscriptions` as events."""
        keys, references, targets = (as_array(column) for column in responses.columns)
        return self._events(RIGHT, keys, references, pa.nulls(len(keys), self.join.row.columns), targets)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over rows and responses, and tells which joined rows that changes.

        Args:
            state: `state_schema`, of the keys that arrived.
            events: `event_schema`; of several records of a row, or responses to it, the last one counts.
            time: Not looked at.
        """
        keys, (held, arrived) = distinct([as_array(table[self.join.key.name]) for table in (state, events)])
        held_rows = last_rows(held, len(keys))
        kept, new = ({name: as_array(table[name]) for name in table.column_names} for table in (state, events))
        is_row = events["side"].to_numpy() == LEFT
        row_rows = last_rows(arrived, len(keys), among=np.flatnonzero(is_row))
        name = self.join.reference.name
        referred, reference = rows_or_null(kept[name], held_rows), latest(kept[name], held_rows, new[name], row_rows)
        refers, stays = valid(reference), same(referred, reference)
        answers = ~is_row & refers[arrived] & same(new[name], reference.take(pa.array(arrived)))
        response_rows = last_rows(arrived, len(keys), among=np.flatnonzero(answers))

        before = Sides(*(rows_or_null(kept[side], held_rows) for side in ("left", "right")))
        after = Sides(
            latest(kept["left"], held_rows, new["left"], row_rows),
            latest(kept["right"], np.where(refers & stays, held_rows, -1), new["right"], response_rows),
        )
        joined = Joined.of(keys, before, after, self.join.how, self.outputs["joined"])
        changed = ~(stays & same(before.left, after.left))
        row = self.join.row.name
        return Step(
            state=kept_rows([keys, reference, after.left, after.right], after.joined("left"), self.state_schema),
            outputs={"joined": joined.rows},
            counters={
                **changes(row, int(is_row.sum()), int(changed.sum())),
                f"{row}_responses_stale": int((~is_row & ~answers).sum()),
                f"{row}_upserted": joined.upserted,
                f"{row}_retracted": joined.retracted,
            },
        )

    def _events(self, side: int, keys: pa.Array, references: pa.Array, rows: pa.Array, targets: pa.Array) -> pa.Table:
        sides = pa.array(np.full(len(keys), side, dtype=np.int8))
        return pa.table([keys, sides, references, rows, targets], schema=self.event_schema)

    @property
    def _right(self) -> pa.Field:
        return self.join.target_schema.field("right")
