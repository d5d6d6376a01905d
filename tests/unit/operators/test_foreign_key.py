"""The join over a reference against two dictionaries, and against messages that come in another order."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.operators.foreign_key import References, Responses, Subscriptions
from common.operators.reference import ForeignKey
from common.operators.sides import Side
from common.operators.step import Watermarks
from tests.unit.operators.tables import Player, Reader, Row

KEY = pa.field("id", pa.int64(), nullable=False)
REFERENCE = pa.field("owner", pa.string(), nullable=False)
ROW = pa.struct([pa.field("title", pa.string(), nullable=False)])
TARGET = pa.struct([pa.field("name", pa.string(), nullable=False)])


def join_of(how: How) -> ForeignKey:
    return ForeignKey(KEY, REFERENCE, Side("rows", ROW), Side("targets", TARGET), how)


How = Literal["inner", "left"]
Change = tuple[str, Any, "Row | None", "str | None"]
"""`row` or `target`, its key, what it is now (None: a tombstone), and what a row refers to."""

row_changes = st.tuples(
    st.just("row"),
    st.integers(1, 3),
    st.none() | st.fixed_dictionaries({"title": st.sampled_from("tu")}),
    st.none() | st.sampled_from("ab"),
)
target_changes = st.tuples(
    st.just("target"),
    st.sampled_from("ab"),
    st.none() | st.fixed_dictionaries({"name": st.sampled_from("xy")}),
    st.none(),
)
batches = st.lists(st.lists(row_changes | target_changes, max_size=6), max_size=8)


@dataclass
class Chain:
    """The three operators, one after another in each step; what a stage is given may be in any order of partitions."""

    how: How
    buckets: int = 1
    rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.join = join_of(self.how)
        self.references = Player(References(self.join), "id", self.buckets)
        self.subscriptions = Player(Subscriptions(self.join), "owner", self.buckets)
        self.responses = Player(Responses(self.join), "id", self.buckets)

    def step(self, batch: list[Change]) -> pa.Table:
        of_rows, of_targets = ([c for c in batch if c[0] == kind] for kind in ("row", "target"))
        rows = self.join.rows(
            pa.array([c[1] for c in of_rows], pa.int64()),
            pa.array([c[3] for c in of_rows], pa.string()),
            pa.array([c[2] for c in of_rows], ROW),
        )
        targets = self.join.targets(
            pa.array([c[1] for c in of_targets], pa.string()), pa.array([c[2] for c in of_targets], TARGET)
        )
        referring, answering, joining = (
            player.operator for player in (self.references, self.subscriptions, self.responses)
        )
        assert isinstance(referring, References)
        assert isinstance(answering, Subscriptions) and isinstance(joining, Responses)
        subscriptions = self.references.step(referring.events(rows))["subscriptions"]
        responses = self.subscriptions.step(
            self._merged(answering.subscription_events(subscriptions), answering.target_events(targets))
        )["responses"]
        return self.responses.step(self._merged(joining.row_events(rows), joining.response_events(responses)))["joined"]

    def _merged(self, *tables: pa.Table) -> pa.Table:
        """One table of two, interleaved at random; the order inside each stays."""
        sources = [number for number, table in enumerate(tables) for _ in range(table.num_rows)]
        self.rng.shuffle(sources)
        taken = [0, 0]
        parts = [tables[0].slice(0, 0)]
        for source in sources:
            parts.append(tables[source].slice(taken[source], 1))
            taken[source] += 1
        return pa.concat_tables(parts)


def apply(batch: list[Change], rows: dict[int, tuple[Row, str | None]], targets: dict[str, Row]) -> None:
    for kind, key, value, reference in batch:
        table: dict[Any, Any] = rows if kind == "row" else targets
        if value is None:
            table.pop(key, None)
        else:
            table[key] = (value, reference) if kind == "row" else value


def oracle(rows: dict[int, tuple[Row, str | None]], targets: dict[str, Row], how: How) -> dict[int, Row]:
    joined = {
        key: {"left": row, "right": targets.get(reference) if reference is not None else None}
        for key, (row, reference) in rows.items()
    }
    return {key: row for key, row in joined.items() if how == "left" or row["right"] is not None}


@given(batches, st.sampled_from(["inner", "left"]), st.integers(1, 3), st.randoms(use_true_random=False))
def test_every_step_equals_the_oracle(steps: list[list[Change]], how: How, buckets: int, rng: random.Random) -> None:
    chain, reader = Chain(how, buckets, rng), Reader("id")
    arrived = Counter[str]()
    rows: dict[int, tuple[Row, str | None]] = {}
    targets: dict[str, Row] = {}
    for batch in steps:
        reader.apply(chain.step(batch))
        apply(batch, rows, targets)
        assert reader.table == oracle(rows, targets, how)
        referring = {(key, owner) for key, (_, owner) in rows.items() if owner is not None}
        assert {tuple(row.values()) for row in chain.references.table.to_pylist()} == referring
        held = chain.subscriptions.table.to_pylist()
        assert {(key, row["owner"]) for row in held for key in row["subscribers"]} == referring
        assert {row["owner"] for row in held if row["right"]} == targets.keys()
        assert {row["id"] for row in chain.responses.table.to_pylist()} == rows.keys()
        arrived.update(change[0] for change in batch)
        counters = chain.subscriptions.counters + chain.responses.counters
        assert counters["rows_changed"] + counters["rows_unchanged"] == arrived["row"]
        assert counters["targets_changed"] + counters["targets_unchanged"] == arrived["target"]


@given(batches)
def test_what_is_redelivered_says_nothing(steps: list[list[Change]]) -> None:
    chain = Chain("left")
    for batch in steps:
        chain.step(batch)
        assert chain.step(batch).num_rows == 0


def test_a_target_is_sent_to_all_that_refer_to_it() -> None:
    chain = Chain("inner")
    chain.step([("row", key, {"title": "t"}, "ab"[key % 2]) for key in (1, 2, 3)])
    joined = chain.step([("target", "b", {"name": "x"}, None)])
    assert sorted(row["id"] for row in joined.to_pylist()) == [1, 3]
    assert chain.subscriptions.counters["targets_responses"] == 2


def test_a_response_to_a_reference_that_is_no_longer_true_is_left_out() -> None:
    """The row turned from a to b, and the response of a comes after that of b."""
    join = join_of("inner")
    operator = Responses(join)
    state = operator.state_schema.empty_table()
    ids = pa.array([1], pa.int64())
    responses = pa.table(
        [pa.array([1, 1], pa.int64()), pa.array(["b", "a"]), pa.array([{"name": "new"}, {"name": "old"}], TARGET)],
        schema=Subscriptions(join).outputs["responses"],
    )
    turned = operator.row_events(join.rows(ids, pa.array(["b"]), pa.array([{"title": "t"}], ROW)))
    at_once = operator.step(state, pa.concat_tables([operator.response_events(responses), turned]), Watermarks())
    assert at_once.outputs["joined"].to_pylist() == [{"id": 1, "left": {"title": "t"}, "right": {"name": "new"}}]
    assert at_once.counters["rows_responses_stale"] == 1

    known = operator.step(state, turned, Watermarks())
    later = operator.step(known.state, operator.response_events(responses), Watermarks())
    assert later.outputs["joined"].to_pylist() == at_once.outputs["joined"].to_pylist()


def test_a_row_that_turns_to_an_unknown_target_loses_the_one_it_had() -> None:
    chain = Chain("left")
    chain.step([("target", "a", {"name": "x"}, None), ("row", 1, {"title": "t"}, "a")])
    assert chain.step([("row", 1, {"title": "t"}, "b")]).to_pylist() == [
        {"id": 1, "left": {"title": "t"}, "right": None}
    ]
