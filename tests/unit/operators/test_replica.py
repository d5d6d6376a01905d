"""The replica operator against an oracle: a log that is delivered at least once, in any batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.replica import CHANGE, SNAPSHOT, STATE, TRUNCATION, Replica
from common.operators.step import Step, Watermarks
from common.runtime.frames import pack, unpack

ROW = pa.struct([pa.field("name", pa.string(), nullable=False)])
OPERATOR = Replica(ROW)
Event = tuple[str, int, int, "str | None"]
"""Key, place, kind, name."""


def table_of(events: list[Event]) -> pa.Table:
    rows = [
        {"key": key, "position": place, "kind": kind, "row": None if name is None else {"name": name}}
        for key, place, kind, name in events
    ]
    return pa.Table.from_pylist(rows, schema=OPERATOR.event_schema)


@dataclass
class Reader:
    """Applies outputs, and insists that a key is told of once a step."""

    table: dict[str, str] = field(default_factory=dict)

    def apply(self, step: Step) -> None:
        assert step.outputs["table"].schema == OPERATOR.outputs["table"]
        told = step.outputs["table"].to_pylist()
        assert len({row["key"] for row in told}) == len(told)
        for row in told:
            if row["row"] is None:
                self.table.pop(row["key"], None)
            else:
                self.table[row["key"]] = row["row"]["name"]


def play(batches: list[list[Event]]) -> tuple[Reader, list[Step]]:
    state, reader, steps = pack(STATE.empty_table()), Reader(), []
    for batch in batches:
        steps.append(OPERATOR.step(unpack(state), table_of(batch), Watermarks()))
        reader.apply(steps[-1])
        state = pack(steps[-1].state)
    return reader, steps


def oracle(log: list[Event]) -> dict[str, str]:
    """The table after a log, each event delivered once, one after another."""
    table: dict[str, str] = {}
    for key, _, kind, name in log:
        if kind == TRUNCATION:
            table.clear()
        elif name is None:
            table.pop(key, None)
        else:
            table[key] = name
    return table


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """A snapshot at place 10; then changes, some of which stand before it in the log, and truncations."""
    read = draw(st.sets(st.sampled_from("abc")))
    log: list[Event] = [(key, 10, SNAPSHOT, f"snapshot {key}") for key in sorted(read)]
    place = draw(st.integers(5, 15))
    for number in range(draw(st.integers(0, 15))):
        place += draw(st.integers(1, 3))
        if place > 10 and draw(st.integers(0, 9)) == 0:
            log.append(("x", place, TRUNCATION, None))
            continue
        name = None if draw(st.integers(0, 3)) == 0 else f"change {number}"
        log.append((draw(st.sampled_from("abcd")), place, CHANGE, name))
    return log


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Event], list[list[Event]]]:
    """A log, and batches in which stretches of it come again."""
    log = draw(logs())
    batches, at, streamed = [], 0, sum(kind == SNAPSHOT for _, _, kind, _ in log)
    while at < len(log):
        until = draw(st.integers(at + 1, len(log)))
        batches.append(log[at:until])
        back = draw(st.integers(0, 4))
        at = max(until - back, min(streamed, until)) if until < len(log) else until
    return log, batches


@given(deliveries())
def test_the_table_is_that_of_the_log_however_it_is_delivered(delivered: tuple[list[Event], list[list[Event]]]) -> None:
    log, batches = delivered
    reader, _ = play(batches)
    assert reader.table == oracle(log)


@given(deliveries())
def test_what_came_again_tells_nothing(delivered: tuple[list[Event], list[list[Event]]]) -> None:
    log, batches = delivered
    changes = [event for event in log if event[2] != SNAPSHOT]
    _, steps = play([*batches, changes])
    assert steps[-1].outputs["table"].num_rows == 0
    assert steps[-1].counters["stale"] + steps[-1].counters["truncations"] == len(changes)


@given(deliveries())
def test_every_event_is_accounted_for(delivered: tuple[list[Event], list[list[Event]]]) -> None:
    _, batches = delivered
    reader, steps = play(batches)
    for batch, step in zip(batches, steps, strict=True):
        assert sum(step.counters.values()) == len(batch)
    if steps:
        assert steps[-1].gauges["rows"] == len(reader.table)


def test_a_truncation_reaches_keys_that_did_not_arrive_and_older_changes_that_do() -> None:
    reader, _ = play(
        [
            [("a", 1, CHANGE, "one"), ("b", 2, CHANGE, "two")],
            [("x", 5, TRUNCATION, None), ("c", 4, CHANGE, "before"), ("d", 6, CHANGE, "behind")],
            [("b", 3, CHANGE, "late")],
        ]
    )
    assert reader.table == {"d": "behind"}


def test_a_second_snapshot_replaces_what_is_held() -> None:
    reader, _ = play([[("a", 90, CHANGE, "old")], [("a", 80, SNAPSHOT, "read")], [("a", 85, CHANGE, "new")]])
    assert reader.table == {"a": "new"}


@pytest.mark.parametrize("again", [False, True])
def test_a_deletion_of_an_unknown_key_is_told_once(again: bool) -> None:
    _, steps = play([[("a", 1, CHANGE, None)], [("a", 2, CHANGE, None)] if again else []])
    assert [step.outputs["table"].num_rows for step in steps] == [1, 0]
