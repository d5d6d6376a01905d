"""The sessions operator against the oracle: any arrival order, batching, watermark and restart."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.buckets import split_by_bucket
from common.operators.sessions import EVENTS, Sessions
from common.operators.step import BEGINNING, END, Step, Watermarks
from common.runtime.frames import pack, unpack
from tests.conformance.oracle import Event, Oracle, Table

GAP = 10

events = st.builds(
    Event,
    user=st.sampled_from(["ada", "böb", "eve"]),
    time=st.integers(0, 120),
    action=st.integers(0, 1),
    ad=st.integers(1, 3),
)
batches = st.lists(st.lists(events, max_size=8), max_size=8)


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[list[Event], Watermarks]]:
    """Batches with any watermark that never goes back, and the end of the input."""
    arrivals = draw(batches)
    moments = sorted(draw(st.lists(st.integers(-20, 150), min_size=len(arrivals), max_size=len(arrivals))))
    marks = [BEGINNING, *moments]
    steps = [(batch, Watermarks(marks[i], marks[i + 1])) for i, batch in enumerate(arrivals)]
    return [*steps, ([], Watermarks(marks[-1], END))]


def table_of(batch: list[Event]) -> pa.Table:
    columns = [[e.user for e in batch], [e.time for e in batch], [e.action for e in batch], [e.ad for e in batch]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, EVENTS, strict=True)], schema=EVENTS)


def events_of(late: pa.Table) -> list[Event]:
    return [Event(r["userId"], r["eventTime"], r["action"], r["advertisementId"]) for r in late.to_pylist()]


class Reader:
    """Applies outputs to a table, and insists that each of them says something new and true."""

    def __init__(self) -> None:
        self.table: Table = {}
        self.upserts = 0
        self.tombstones = 0

    def apply(self, sessions: pa.Table) -> None:
        for row in sessions.to_pylist():
            key = (row["userId"], row["start"], row["end"])
            if row["actions"] is None:
                assert key in self.table, f"a tombstone for {key}, which is not in the table"
                del self.table[key]
                self.tombstones += 1
            else:
                actions = [(a["eventTime"], a["action"], a["advertisementId"]) for a in row["actions"]]
                assert self.table.get(key) != actions, f"{key} emitted again, unchanged"
                self.table[key] = actions
                self.upserts += 1


def play(operator: Sessions, steps: list[tuple[list[Event], Watermarks]]) -> tuple[Reader, list[Step]]:
    """Runs all steps, the state saved and restored between them."""
    state, reader, taken = pack(operator.state_schema.empty_table()), Reader(), []
    for batch, time in steps:
        step = operator.step(unpack(state), table_of(batch), time)
        reader.apply(step.outputs["sessions"])
        state = pack(step.state)
        taken.append(step)
    return reader, taken


@given(runs(), st.sampled_from([0, 1, 9, 10, 25]), st.booleans())
def test_every_step_equals_the_oracle(steps: list[tuple[list[Event], Watermarks]], grace: int, dedupe: bool) -> None:
    operator, oracle = Sessions(GAP, grace, dedupe), Oracle(GAP, grace, dedupe)
    state, reader = operator.state_schema.empty_table(), Reader()
    for batch, time in steps:
        step = operator.step(state, table_of(batch), time)
        late_before = len(oracle.late)
        oracle.arrive(batch, time.before)
        reader.apply(step.outputs["sessions"])
        state = unpack(pack(step.state))

        assert reader.table == oracle.table(time.after)
        assert Counter(events_of(step.outputs["late"])) == Counter(oracle.late[late_before:])
    assert state.num_rows == 0


@given(runs(), st.sampled_from([0, 5, 25]))
def test_nothing_is_lost(steps: list[tuple[list[Event], Watermarks]], grace: int) -> None:
    """records in = actions out + actions open + duplicates + late, after any step."""
    operator = Sessions(GAP, grace)
    _, taken = play(operator, steps)
    counted: Counter[str] = Counter()
    for (batch, _), step in zip(steps, taken, strict=True):
        counted.update(step.counters)
        counted["in"] += len(batch)
        accounted = counted["actions_out"] + step.gauges["actions_open"] + counted["duplicates"] + counted["late"]
        assert accounted == counted["in"]


@given(runs(), st.sampled_from([0, 5, 25]))
def test_a_step_that_is_not_due_does_nothing(steps: list[tuple[list[Event], Watermarks]], grace: int) -> None:
    operator = Sessions(GAP, grace)
    state, watermark = operator.state_schema.empty_table(), BEGINNING
    for batch, time in steps:
        step = operator.step(state, table_of(batch), time)
        state, watermark = step.state, time.after
        if watermark < step.due - 1 and step.due < END:
            idle = operator.step(state, EVENTS.empty_table(), Watermarks(watermark, step.due - 1))
            assert idle.outputs["sessions"].num_rows == 0
            assert idle.state.equals(state)


@given(st.lists(events, max_size=30), st.randoms(use_true_random=False), st.integers(1, 10))
def test_without_late_events_replay_equals_near_real_time(arrivals: list[Event], random: object, size: int) -> None:
    """SEMANTICS.md: with no late events, replay, near-real-time and batch give the same table."""
    operator = Sessions(GAP, grace=0)
    at_once, _ = play(operator, [(arrivals, Watermarks(BEGINNING, END))])
    in_order = sorted(arrivals, key=lambda e: e.time)
    steps, mark = [], BEGINNING
    for i in range(0, len(in_order), size):
        batch = in_order[i : i + size]
        following = in_order[i + size].time - 1 if i + size < len(in_order) else END
        steps.append((batch, Watermarks(mark, max(mark, following))))
        mark = steps[-1][1].after
    reader, _ = play(operator, [*steps, ([], Watermarks(mark, END))])
    assert reader.table == at_once.table


@given(runs(), st.data())
def test_redelivery_never_changes_the_table(steps: list[tuple[list[Event], Watermarks]], data: st.DataObject) -> None:
    """SEMANTICS.md: a redelivered event that is accepted finds its first copy still held."""
    operator = Sessions(GAP, grace=25)
    once, _ = play(operator, steps)
    accepted: list[Event] = []
    again = []
    for batch, time in steps:
        redelivered = data.draw(st.lists(st.sampled_from(accepted), max_size=3)) if accepted else []
        again.append(([*batch, *redelivered], time))
        accepted += [e for e in batch if e.time > time.before - operator.grace]
    twice, _ = play(operator, again)
    assert twice.table == once.table
    assert twice.tombstones == once.tombstones


@given(runs())
def test_without_grace_a_session_is_emitted_once_and_never_corrected(
    steps: list[tuple[list[Event], Watermarks]],
) -> None:
    reader, _ = play(Sessions(GAP, grace=0), steps)
    assert reader.tombstones == 0
    assert reader.upserts == len(reader.table)


@given(runs(), st.integers(1, 5))
def test_parallelism_does_not_matter(steps: list[tuple[list[Event], Watermarks]], buckets: int) -> None:
    """SEMANTICS.md: for any order, any batching, any parallelism."""
    operator = Sessions(GAP, grace=25)
    whole, _ = play(operator, steps)
    table: Table = {}
    for bucket in range(buckets):
        mine = [
            (_events(split_by_bucket(table_of(batch), "userId", buckets).get(bucket)), time) for batch, time in steps
        ]
        table |= play(operator, mine)[0].table
    assert table == whole.table


def _events(table: pa.Table | None) -> list[Event]:
    return events_of(table) if table is not None else []


def views(*times: int) -> list[Event]:
    return [Event("ada", time, 0, 1) for time in times]


def test_an_event_exactly_the_gap_later_is_in_the_same_session() -> None:
    reader, _ = play(Sessions(GAP, 0), [(views(0, 10, 21), Watermarks(BEGINNING, END))])
    assert list(reader.table) == [("ada", 0, 20), ("ada", 21, 31)]


def test_a_late_event_that_joins_two_emitted_sessions_takes_both_back() -> None:
    steps = [(views(0, 16), Watermarks(BEGINNING, 26)), (views(8), Watermarks(26, 26))]
    reader, taken = play(Sessions(GAP, grace=30), steps)
    assert taken[1].outputs["sessions"].select(["start", "end"]).to_pylist() == [
        {"start": 0, "end": 10},
        {"start": 16, "end": 26},
        {"start": 0, "end": 26},
    ]
    assert (reader.upserts, reader.tombstones) == (3, 2)


def test_a_corrected_session_that_is_open_again_waits_for_its_end() -> None:
    steps = [(views(0), Watermarks(BEGINNING, 10)), (views(9), Watermarks(10, 12)), ([], Watermarks(12, 19))]
    _, taken = play(Sessions(GAP, grace=30), steps)
    emitted = [[(r["start"], r["end"], r["actions"] is None) for r in s.outputs["sessions"].to_pylist()] for s in taken]
    assert emitted == [[(0, 10, False)], [(0, 10, True)], [(0, 19, False)]]


@pytest.mark.parametrize(("time", "late"), [(69, True), (70, True), (71, False)])
def test_the_late_limit_is_exact(time: int, late: bool) -> None:
    step = Sessions(GAP, grace=30).step(
        Sessions().state_schema.empty_table(), table_of(views(time)), Watermarks(100, 100)
    )
    assert (step.outputs["late"].num_rows == 1) is late
