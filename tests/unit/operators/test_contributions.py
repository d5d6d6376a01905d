"""Contributions against an oracle that recomputes all totals from what stands."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.operators.contributions import Contributions
from tests.unit.operators.tables import Player, rows

AD = pa.field("ad", pa.int64(), nullable=False)
OPERATOR = Contributions("session", AD)

Contribution = dict[int, int]
Batch = list[tuple[str, "Contribution | None"]]

contributions = st.none() | st.dictionaries(st.integers(1, 4), st.integers(1, 3), max_size=3)
batches = st.lists(st.lists(st.tuples(st.sampled_from("abc"), contributions), max_size=5), max_size=8)


def events(batch: Batch) -> pa.Table:
    content = [
        (name, None if made is None else [{"ad": ad, "amount": amount} for ad, amount in sorted(made.items())])
        for name, made in batch
    ]
    return rows(OPERATOR.event_schema, content)


@given(batches, st.integers(1, 3))
def test_the_deltas_add_up_to_what_stands(steps: list[Batch], buckets: int) -> None:
    player, totals, standing = Player(OPERATOR, "session", buckets), Counter[int](), dict[str, Contribution]()
    for batch in steps:
        for row in player.step(events(batch))["deltas"].to_pylist():
            assert row["delta"] != 0
            totals[row["ad"]] += row["delta"]
        standing |= {name: made or {} for name, made in batch}
        oracle = Counter[int]()
        for made in standing.values():
            oracle.update(made)
        assert +totals == oracle
        assert min(totals.values(), default=0) >= 0
        assert {row["session"] for row in player.table.to_pylist()} == {name for name, made in standing.items() if made}


@given(batches)
def test_every_record_is_accounted_for(steps: list[Batch]) -> None:
    player, standing = Player(OPERATOR, "session"), dict[str, Contribution]()
    for batch in steps:
        before, changed = dict(standing), player.counters["contributions_changed"]
        player.step(events(batch))
        standing |= {name: made or {} for name, made in batch}
        differing = sum(before.get(name, {}) != standing[name] for name in standing)
        assert player.counters["contributions_changed"] - changed == differing
    arrived = sum(map(len, steps))
    assert player.counters["contributions_changed"] + player.counters["contributions_unchanged"] == arrived


@given(st.lists(st.tuples(st.sampled_from("abc"), contributions), max_size=6))
def test_what_is_redelivered_adds_nothing(batch: Batch) -> None:
    player = Player(OPERATOR, "session")
    player.step(events(batch))
    assert player.step(events(batch))["deltas"].num_rows == 0


def test_a_corrected_session_takes_its_old_contribution_back() -> None:
    player = Player(OPERATOR, "session")
    assert player.step(events([("a", {1: 2, 2: 1})]))["deltas"].to_pylist() == [
        {"ad": 1, "delta": 2},
        {"ad": 2, "delta": 1},
    ]
    assert player.step(events([("a", {1: 3, 3: 1})]))["deltas"].to_pylist() == [
        {"ad": 1, "delta": 1},
        {"ad": 2, "delta": -1},
        {"ad": 3, "delta": 1},
    ]


def test_what_moves_from_one_session_to_another_is_no_delta() -> None:
    player = Player(OPERATOR, "session")
    player.step(events([("a", {1: 2})]))
    assert player.step(events([("a", None), ("b", {1: 2})]))["deltas"].num_rows == 0
    assert [row["session"] for row in player.table.to_pylist()] == ["b"]


def test_a_tombstone_of_an_unknown_session_is_nothing() -> None:
    player = Player(OPERATOR, "session")
    assert player.step(events([("a", None)]))["deltas"].num_rows == 0
    assert dict(player.counters) == {"contributions_changed": 0, "contributions_unchanged": 1}


def test_a_state_of_another_measure_is_another_state() -> None:
    assert Contributions("session", AD, "every_view").fingerprint != OPERATOR.fingerprint
