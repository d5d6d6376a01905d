"""The gate operator against an oracle that never forgets, and its outputs applied as a reader would."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.buckets import split_by_bucket
from common.operators.gate import Gate
from common.operators.step import BEGINNING, END, Step, Watermarks
from tests.unit.operators.steps import Row, Run, assert_idle_until_due, counted, play, runs, table_of

SCHEMA = pa.schema(
    [
        pa.field("order", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("note", pa.string()),
    ]
)
KINDS = ("placed", "paid", "sent")
OUTPUTS = ("complete", "incomplete")
rows = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["a", "b"]),
        "kind": st.sampled_from([*KINDS, "seen"]),
        "eventTime": st.integers(0, 100),
        "note": st.sampled_from(["x", None]),
    }
)
operators = st.builds(
    Gate,
    st.just(SCHEMA),
    st.just("order"),
    st.just("kind"),
    st.sampled_from([KINDS, KINDS[:2], KINDS[:1]]),
    within=st.sampled_from([0, 1, 10, 30]),
    grace=st.sampled_from([0, 5, 25]),
)
Table = dict[tuple[str, str, int], list[Row]]
"""What stands: the events of each row, by output, key and start."""


class Oracle:
    """Every accepted event, for ever."""

    def __init__(self, operator: Gate) -> None:
        self.operator = operator
        self.accepted: list[Row] = []

    def arrive(self, batch: list[Row], watermark: int) -> list[Row]:
        late = [row for row in batch if row["eventTime"] <= watermark - self.operator.grace]
        self.accepted += [row for row in batch if row not in late and row["kind"] in self.operator.kinds]
        return late

    def rounds(self) -> list[list[Row]]:
        found: list[list[Row]] = []
        for row in sorted(self.accepted, key=lambda r: (r["order"], r["eventTime"], r["note"] is None)):
            last = found[-1][0] if found else None
            if (
                last is None
                or last["order"] != row["order"]
                or row["eventTime"] > last["eventTime"] + self.operator.within
            ):
                found.append([])
            found[-1].append(row)
        return found

    def table(self, watermark: int) -> Table:
        table: Table = {}
        for events in self.rounds():
            key, start = events[0]["order"], events[0]["eventTime"]
            first = [next((row for row in events if row["kind"] == kind), None) for kind in self.operator.kinds]
            chosen = [row for row in first if row is not None]
            if None not in first:
                table["complete", key, start] = chosen
            elif start + self.operator.within <= watermark:
                table["incomplete", key, start] = chosen
        return table


class Reader:
    """Applies outputs to a table, and insists that each of them says something new and true."""

    def __init__(self, operator: Gate) -> None:
        self.operator = operator
        self.table: Table = {}
        self.tombstones = 0

    def apply(self, step: Step) -> None:
        for name in OUTPUTS:
            for row in step.outputs[name].to_pylist():
                key = (name, row["order"], row["start"])
                assert row["end"] == row["start"] + self.operator.within
                if row["events"] is None:
                    del self.table[key]
                    self.tombstones += 1
                else:
                    assert self.table.get(key) != row["events"], f"{key} given out again, unchanged"
                    self.table[key] = row["events"]


def read(operator: Gate, run: Run) -> Reader:
    reader = Reader(operator)
    for step in play(operator, run):
        reader.apply(step)
    return reader


@given(runs(rows), operators)
def test_every_step_equals_the_oracle(run: Run, operator: Gate) -> None:
    """SEMANTICS.md, "Gates": for any order and batching, what stands follows from the accepted events."""
    oracle, reader = Oracle(operator), Reader(operator)
    for step, (batch, time) in zip(play(operator, run), run, strict=True):
        late = oracle.arrive(batch, time.before)
        reader.apply(step)
        assert reader.table == oracle.table(time.after)
        assert counted(step.outputs["late"].to_pylist(), SCHEMA) == counted(late, SCHEMA)
    assert step.state.num_rows == 0


@given(runs(rows), operators)
def test_nothing_is_lost(run: Run, operator: Gate) -> None:
    """records in = events complete + incomplete + open + ignored + late, after any step."""
    total: Counter[str] = Counter()
    for step, (batch, _) in zip(play(operator, run), run, strict=True):
        total.update({**step.counters, "in": len(batch)})
        ended = total["events_complete"] + total["events_incomplete"] + total["ignored"] + total["late"]
        assert ended + step.gauges["events_open"] == total["in"]


@given(runs(rows), operators)
def test_a_bucket_that_is_not_due_may_be_left_alone(run: Run, operator: Gate) -> None:
    assert_idle_until_due(operator, play(operator, run), run)


@given(runs(rows), operators, st.data())
def test_redelivery_never_changes_the_table(run: Run, operator: Gate, data: st.DataObject) -> None:
    accepted: list[Row] = []
    again: Run = []
    for batch, time in run:
        accepted += [row for row in batch if row["eventTime"] > time.before - operator.grace]
        redelivered = data.draw(st.lists(st.sampled_from(accepted), max_size=3)) if accepted else []
        again.append(([*batch, *redelivered], time))
    once, twice = read(operator, run), read(operator, again)
    assert (twice.table, twice.tombstones) == (once.table, once.tombstones)


@given(runs(rows), operators, st.integers(1, 4))
def test_parallelism_does_not_matter(run: Run, operator: Gate, buckets: int) -> None:
    table: Table = {}
    for bucket in range(buckets):
        mine: Run = []
        for batch, time in run:
            part = split_by_bucket(table_of(batch, SCHEMA), "order", buckets).get(bucket)
            mine.append((part.to_pylist() if part else [], time))
        table |= read(operator, mine).table
    assert table == read(operator, run).table


def event(kind: str, time: int) -> Row:
    return {"order": "a", "kind": kind, "eventTime": time, "note": None}


ALL = [event("paid", 5), event("placed", 0), event("sent", 9)]
CASES: dict[str, tuple[list[tuple[list[Row], int]], list[tuple[str, int, list[int] | None]]]] = {
    "complete as soon as all have come": ([(ALL[:2], 6), (ALL[2:], 7)], [("complete", 0, [0, 5, 9])]),
    "exactly the deadline is in time": ([(ALL[:2], 9), ([event("sent", 10)], 9)], [("complete", 0, [0, 5, 10])]),
    "one later begins anew": (
        [(ALL[:2], 9), ([event("sent", 11)], 21)],
        [("incomplete", 0, [0, 5]), ("incomplete", 11, [11])],
    ),
    "incomplete once the watermark is at the end": (
        [(ALL[:2], 9), ([], 10)],
        [("incomplete", 0, [0, 5])],
    ),
    "a late one completes what was incomplete": (
        [(ALL[:2], 12), (ALL[2:], 12)],
        [("incomplete", 0, [0, 5]), ("incomplete", 0, None), ("complete", 0, [0, 5, 9])],
    ),
    "a late one of another kind is added to what stays incomplete": (
        [(ALL[1:2], 12), (ALL[:1], 12)],
        [("incomplete", 0, [0]), ("incomplete", 0, [0, 5])],
    ),
    "an earlier one of a kind takes the place of the first": (
        [(ALL, 3), ([event("paid", 4)], 4)],
        [("complete", 0, [0, 5, 9]), ("complete", 0, [0, 4, 9])],
    ),
    "a second one of a kind changes nothing": ([(ALL, 3), ([event("paid", 6)], 4)], [("complete", 0, [0, 5, 9])]),
    "an earlier first one moves the round": (
        [([event("placed", 3), event("paid", 5), event("sent", 9)], 3), ([event("placed", 0)], 3)],
        [("complete", 3, [3, 5, 9]), ("complete", 3, None), ("complete", 0, [0, 5, 9])],
    ),
}


@pytest.mark.parametrize(("batches", "given_out"), CASES.values(), ids=CASES)
def test_what_is_given_out(batches: list[Any], given_out: list[Any]) -> None:
    run, before = [], BEGINNING
    for batch, after in batches:
        run.append((batch, Watermarks(before, after)))
        before = after
    found = []
    for step in play(Gate(SCHEMA, "order", "kind", KINDS, within=10, grace=20), run):
        emitted = [(name, row) for name in OUTPUTS for row in step.outputs[name].to_pylist()]
        for name, row in sorted(emitted, key=lambda pair: pair[1]["events"] is not None):
            times = row["events"] and [e["eventTime"] for e in row["events"]]
            found.append((name, row["start"], times))
    assert found == given_out


def test_kinds_may_be_numbers() -> None:
    schema = SCHEMA.set(1, pa.field("kind", pa.int8(), nullable=False))
    gate = Gate(schema, "order", "kind", (0, 1), within=10, grace=0)
    batch = [{"order": "a", "kind": kind, "eventTime": 1, "note": None} for kind in (1, 0)]
    (step,) = play(gate, [(batch, Watermarks(BEGINNING, END))])
    assert [e["kind"] for e in step.outputs["complete"].to_pylist()[0]["events"]] == [0, 1]


def test_a_round_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="1 ms before its first event"):
        Gate(SCHEMA, "order", "kind", KINDS, within=-1)
