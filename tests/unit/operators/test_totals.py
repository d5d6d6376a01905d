"""Totals against a Counter: any batches, any buckets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.step import END, Watermarks
from common.operators.totals import Totals
from tests.unit.operators.tables import Player, Reader, rows

AD = pa.field("ad", pa.int64(), nullable=False)
Deltas = list[tuple[int, int]]

batches = st.lists(st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 3)), max_size=6), max_size=8)


@given(batches, st.integers(1, 3))
def test_every_step_equals_the_oracle(steps: list[Deltas], buckets: int) -> None:
    operator = Totals(AD)
    player, reader, oracle = Player(operator, "ad", buckets), Reader("ad"), Counter[int]()
    for batch in steps:
        reader.apply(player.step(rows(operator.event_schema, batch))["totals"])
        for ad, delta in batch:
            oracle[ad] += delta
        standing = {ad: {"total": total} for ad, total in oracle.items() if total}
        assert reader.table == standing
        assert {row.pop("ad"): row for row in player.table.to_pylist()} == standing


def test_a_total_that_is_back_at_nothing_is_no_total() -> None:
    player = Player(Totals(AD), "ad")
    schema = player.operator.event_schema
    assert player.step(rows(schema, [(1, 2), (2, 5)]))["totals"].to_pylist() == [
        {"ad": 1, "total": 2},
        {"ad": 2, "total": 5},
    ]
    assert player.step(rows(schema, [(1, -2), (2, 1), (2, -1)]))["totals"].to_pylist() == [{"ad": 1, "total": None}]
    assert player.table.to_pylist() == [{"ad": 2, "total": 5}]
    assert dict(player.counters) == {"totals_upserted": 2, "totals_retracted": 1}


@pytest.mark.parametrize(("type_", "keys"), [(pa.int64(), [-(2**63), 2**63 - 1]), (pa.string(), ["", "日本"])])
def test_keys_are_numbers_or_texts(type_: pa.DataType, keys: list[Any]) -> None:
    operator = Totals(pa.field("of", type_, nullable=False))
    events = rows(operator.event_schema, [(keys[0], 1), (keys[1], 2**62), (keys[0], 1)])
    step = operator.step(operator.state_schema.empty_table(), events, Watermarks())
    assert step.state.to_pylist() == [{"of": keys[0], "total": 2}, {"of": keys[1], "total": 2**62}]
    assert step.due == END
