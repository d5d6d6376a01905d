"""Join over a reference: many rows of one table refer to one row of another, by a column that may change.

No key is shared, so it takes three operators. The references of the rows go to what they refer to, and what is
found there comes back to the rows:

    rows ─┬─ by key ─ References ─┐
          │                       ├─ by reference ─ Subscriptions ─┐
          │          targets ─────┘                                ├─ by key ─ Responses ─ joined
          └────────────────────────────────────────────────────────┘

A response can come after the row has turned to another target. It says which reference it answers, and answers
none but that.

Example:
    >>> step = References(key, reference).step(state, events, time)
    >>> step = Subscriptions(key, reference, target).step(state, subscriptions_and_targets, time)
    >>> Responses(key, reference, row, target).step(state, rows_and_responses, time).outputs["joined"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
from common.operators.sides import LEFT, RIGHT, SIDE, Joined, Sides
from common.operators.step import Step, Watermarks
from common.streams.columns import as_array

SUBSCRIBED = pa.field("subscribed", pa.bool_())


@dataclass(frozen=True)
class References:
    """Tells each target which rows refer to it, and which no longer do.

    Attributes:
        key: The column that rows are keyed by, `int64` or `string`.
        reference: The column with the key of a row's target, `int64` or `string`.
    """

    key: pa.Field
    reference: pa.Field

    @property
    def state_schema(self) -> pa.Schema:
        """Rows that refer to something, and to what."""
        return pa.schema([self.key, self.reference.with_nullable(nullable=False)])

    @property
    def state_key(self) -> str:
        """Kept by the rows' key."""
        return str(self.key.name)

    @property
    def event_schema(self) -> pa.Schema:
        """A row's key and reference; null when it refers to nothing, or is no more."""
        return pa.schema([self.key, self.reference.with_nullable(nullable=True)])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`subscriptions`: a reference, the row's key, and whether it is now `subscribed` or no longer."""
        return {
            "subscriptions": pa.schema(
                [self.reference.with_nullable(nullable=False), self.key, SUBSCRIBED.with_nullable(nullable=False)]
            )
        }

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """References of other columns are other references."""
        return {"operator": "references", "key": str(self.key), "reference": str(self.reference)}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over what rows refer to now.

        Args:
            state: `state_schema`, of the keys that arrived.
            events: `event_schema`; of several records of a key the last one counts.
            time: Not looked at.
        """
        keys, (held, arrived) = distinct([as_array(table[self.key.name]) for table in (state, events)])
        kept, new = (as_array(table[self.reference.name]) for table in (state, events))
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
            counters={"subscribed": int(entered.sum()), "unsubscribed": int(left.sum())},
        )


@dataclass(frozen=True)
class Subscriptions:
    """Sends what a target is to the rows that refer to it, when they begin to and whenever it changes.

    Its state is a row a target with the keys of all its subscribers; so a target that many rows refer to
    is rewritten as a whole when one of them comes.

    Attributes:
        key: The column that rows are keyed by.
        reference: The column that targets are keyed by.
        target: The columns of a target.
    """

    key: pa.Field
    reference: pa.Field
    target: pa.StructType

    @property
    def state_schema(self) -> pa.Schema:
        """A target, null while it is unknown or deleted, and its subscribers."""
        subscribers = pa.list_(pa.field("item", self.key.type, nullable=False))
        return pa.schema(
            [self._reference, pa.field("right", self.target), pa.field("subscribers", subscribers, nullable=False)]
        )

    @property
    def state_key(self) -> str:
        """Kept by the targets' key."""
        return str(self.reference.name)

    @property
    def event_schema(self) -> pa.Schema:
        """On the `LEFT`, a row's key and whether it is `subscribed`; on the `RIGHT`, a target, null in a tombstone."""
        key = self.key.with_nullable(nullable=True)
        return pa.schema([self._reference, SIDE, key, SUBSCRIBED, pa.field("right", self.target)])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`responses`: a row's key, the reference that is answered, and the target, null when there is none."""
        return {"responses": pa.schema([self.key, self._reference, pa.field("right", self.target)])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Targets of other columns can't be sent."""
        return {
            "operator": "subscriptions",
            "key": str(self.key),
            "reference": str(self.reference),
            "target": str(self.target),
        }

    def subscription_events(self, subscriptions: pa.Table) -> pa.Table:
        """The output of `References` as events."""
        reference, key, subscribed = (as_array(subscriptions[name]) for name in subscriptions.column_names)
        return self._events(LEFT, reference, key, subscribed, pa.nulls(len(key), self.target))

    def target_events(self, keys: pa.Array, targets: pa.StructArray) -> pa.Table:
        """Upserts and tombstones of targets as events.

        Args:
            keys: A key a record.
            targets: The target's columns, null in a tombstone.
        """
        many = len(keys)
        return self._events(RIGHT, keys, pa.nulls(many, self.key.type), pa.nulls(many, pa.bool_()), targets)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over subscriptions and targets, and answers.

        Args:
            state: `state_schema`, of the targets that arrived.
            events: `event_schema`; of several records of a target, or of a pair, the last one counts.
            time: Not looked at.
        """
        references, (held, arrived) = distinct([as_array(table[self.reference.name]) for table in (state, events)])
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
            counters={"targets_changed": int(changed.sum()), "responses": responses.num_rows},
        )

    @property
    def _reference(self) -> pa.Field:
        return self.reference.with_nullable(nullable=False)

    def _events(
        self, side: int, reference: pa.Array, key: pa.Array, subscribed: pa.Array, target: pa.Array
    ) -> pa.Table:
        sides = pa.array(np.full(len(reference), side, dtype=np.int8))
        return pa.table([reference, sides, key, subscribed, target], schema=self.event_schema)

    def _pairs(self, state: pa.Table, held: Ints, events: pa.Table, arrived: Ints) -> _Pairs:
        """The subscriptions that stand after a batch of them."""
        lists = as_array(state["subscribers"])
        keys, (held_key, arrived_key) = distinct([lists.flatten(), as_array(events[self.key.name])])
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
        key: The column that rows are keyed by.
        reference: The column with the key of a row's target.
        row: The columns of a row.
        target: The columns of a target.
        how: Whether a row without a target is joined with null (`left`) or not at all (`inner`).
    """

    key: pa.Field
    reference: pa.Field
    row: pa.StructType
    target: pa.StructType
    how: Literal["inner", "left"] = "inner"

    @property
    def state_schema(self) -> pa.Schema:
        """A row, what it refers to, and that target."""
        left = pa.field("left", self.row, nullable=False)
        return pa.schema([self.key, self._reference, left, pa.field("right", self.target)])

    @property
    def state_key(self) -> str:
        """Kept by the rows' key."""
        return str(self.key.name)

    @property
    def event_schema(self) -> pa.Schema:
        """On the `LEFT`, a row and its reference, null in a tombstone; on the `RIGHT`, a response."""
        return pa.schema([self.key, SIDE, self._reference, pa.field("left", self.row), pa.field("right", self.target)])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`joined`: each joined row that changed; both sides are null in a tombstone."""
        return {"joined": pa.schema([self.key, pa.field("left", self.row), pa.field("right", self.target)])}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Rows that were joined in another way have been written, and would not be taken back."""
        return {
            "operator": "responses",
            "how": self.how,
            "key": str(self.key),
            "reference": str(self.reference),
            "row": str(self.row),
            "target": str(self.target),
        }

    def row_events(self, keys: pa.Array, references: pa.Array, rows: pa.StructArray) -> pa.Table:
        """Upserts and tombstones of rows as events.

        Args:
            keys: A key a record.
            references: What each row refers to; null for nothing.
            rows: The row's columns, null in a tombstone.
        """
        known = pc.if_else(rows.is_valid(), references, pa.scalar(None, references.type))
        return self._events(LEFT, keys, known, rows, pa.nulls(len(keys), self.target))

    def response_events(self, responses: pa.Table) -> pa.Table:
        """The output of `Subscriptions` as events."""
        key, reference, target = (as_array(responses[name]) for name in responses.column_names)
        return self._events(RIGHT, key, reference, pa.nulls(len(key), self.row), target)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes over rows and responses, and tells which joined rows that changes.

        Args:
            state: `state_schema`, of the keys that arrived.
            events: `event_schema`; of several records of a row, or responses to it, the last one counts.
            time: Not looked at.
        """
        keys, (held, arrived) = distinct([as_array(table[self.key.name]) for table in (state, events)])
        held_rows = last_rows(held, len(keys))
        kept, new = ({name: as_array(table[name]) for name in table.column_names} for table in (state, events))
        is_row = events["side"].to_numpy() == LEFT
        row_rows = last_rows(arrived, len(keys), among=np.flatnonzero(is_row))
        name = self.reference.name
        reference = latest(kept[name], held_rows, new[name], row_rows)
        refers = valid(reference)
        answers = ~is_row & refers[arrived] & same(new[name], reference.take(pa.array(arrived)))
        still = refers & same(rows_or_null(kept[name], held_rows), reference)
        response_rows = last_rows(arrived, len(keys), among=np.flatnonzero(answers))

        before = Sides(*(rows_or_null(kept[side], held_rows) for side in ("left", "right")))
        after = Sides(
            latest(kept["left"], held_rows, new["left"], row_rows),
            latest(kept["right"], np.where(still, held_rows, -1), new["right"], response_rows),
        )
        joined = Joined.of(keys, before, after, self.how, self.outputs["joined"])
        return Step(
            state=kept_rows([keys, reference, after.left, after.right], after.joined("left"), self.state_schema),
            outputs={"joined": joined.rows},
            counters={"responses_stale": int((~is_row & ~answers).sum()), **joined.counters},
        )

    def _events(self, side: int, keys: pa.Array, references: pa.Array, rows: pa.Array, targets: pa.Array) -> pa.Table:
        sides = pa.array(np.full(len(keys), side, dtype=np.int8))
        return pa.table([keys, sides, references, rows, targets], schema=self.event_schema)

    @property
    def _reference(self) -> pa.Field:
        return self.reference.with_nullable(nullable=True)
