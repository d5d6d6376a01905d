"""The join against two dictionaries: any order of the sides, any batches, any buckets."""

from __future__ import annotations

from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.join import Join
from common.operators.sides import LEFT, RIGHT, How, Side
from tests.unit.operators.tables import Player, Reader, Row, rows

KEY = pa.field("ad", pa.int64(), nullable=False)
SUM = pa.struct([pa.field("sum", pa.int64(), nullable=False)])
NAME = pa.struct([pa.field("name", pa.string()), pa.field("type", pa.string())])

Change = tuple[int, int, "Row | None"]
"""Key, side, and what the side now holds; None for a tombstone."""

sums = st.none() | st.fixed_dictionaries({"sum": st.integers(1, 2)})
names = st.none() | st.fixed_dictionaries({"name": st.sampled_from(["x", "y", None]), "type": st.none()})
keys = st.integers(1, 3)
changes = st.tuples(keys, st.just(LEFT), sums) | st.tuples(keys, st.just(RIGHT), names)
batches = st.lists(st.lists(changes, max_size=6), max_size=8)


def join(how: How) -> Join:
    return Join(KEY, Side("sums", SUM), Side("names", NAME), how)


def events(batch: list[Change]) -> pa.Table:
    """Changes in their order, each by the function of its side."""
    operator = join("full")
    tables = [operator.event_schema.empty_table()]
    for key, side, value in batch:
        make, type_ = ((operator.left_events, SUM), (operator.right_events, NAME))[side]
        tables.append(make(pa.array([key], pa.int64()), pa.array([value], type_)))
    return pa.concat_tables(tables)


def oracle(left: dict[int, Row], right: dict[int, Row], how: How) -> dict[int, Row]:
    """The joined table, from the whole tables of both sides."""
    shown = {
        "inner": left.keys() & right.keys(),
        "left": left.keys(),
        "right": right.keys(),
        "full": left.keys() | right.keys(),
    }[how]
    return {key: {"left": left.get(key), "right": right.get(key)} for key in shown}


@given(batches, st.sampled_from(get_args(How)), st.integers(1, 3))
def test_every_step_equals_the_oracle(steps: list[list[Change]], how: How, buckets: int) -> None:
    player, reader = Player(join(how), "ad", buckets), Reader("ad")
    sides: tuple[dict[int, Row], dict[int, Row]] = ({}, {})
    for batch in steps:
        reader.apply(player.step(events(batch))["joined"])
        for key, side, value in batch:
            if value is None:
                sides[side].pop(key, None)
            else:
                sides[side][key] = value
        assert reader.table == oracle(*sides, how)
        assert {row["ad"] for row in player.table.to_pylist()} == sides[LEFT].keys() | sides[RIGHT].keys()


@given(batches)
def test_every_record_is_accounted_for(steps: list[list[Change]]) -> None:
    player = Player(join("full"), "ad")
    for batch in steps:
        player.step(events(batch))
    for side, name in ((LEFT, "sums"), (RIGHT, "names")):
        arrived = sum(change[1] == side for batch in steps for change in batch)
        assert player.counters[f"{name}_changed"] + player.counters[f"{name}_unchanged"] == arrived


@given(batches, st.sampled_from(get_args(How)))
def test_what_is_redelivered_says_nothing(steps: list[list[Change]], how: How) -> None:
    player = Player(join(how), "ad")
    for batch in steps:
        player.step(events(batch))
        assert player.step(events(batch))["joined"].num_rows == 0


def test_a_row_of_nothing_but_nulls_is_a_row() -> None:
    player, reader = Player(join("full"), "ad"), Reader("ad")
    reader.apply(player.step(events([(1, RIGHT, {"name": None, "type": None})]))["joined"])
    assert reader.table == {1: {"left": None, "right": {"name": None, "type": None}}}


@pytest.mark.parametrize("how", get_args(How))
def test_what_was_joined_in_another_way_is_another_state(how: How) -> None:
    others: list[Any] = [other for other in get_args(How) if other != how]
    assert all(join(how).fingerprint != join(other).fingerprint for other in others)


def test_the_columns_of_an_event() -> None:
    written = rows(
        join("full").event_schema, [(1, LEFT, {"sum": 2}, None), (1, RIGHT, None, {"name": "x", "type": None})]
    )
    assert events([(1, LEFT, {"sum": 2}), (1, RIGHT, {"name": "x", "type": None})]).to_pylist() == written.to_pylist()
