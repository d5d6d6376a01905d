"""The rules for sessions against a naive oracle."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.session_rules import SessionRules
from common.operators.sessions import EVENTS, Sessions
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.frames import pack, unpack
from tests.conformance.anomalies_oracle import session_rules
from tests.conformance.oracle import Event, Oracle
from tests.unit.operators.findings import Reader
from tests.unit.operators.test_sessions import GAP, events_of, runs, table_of

Steps = list[tuple[list[Event], Watermarks]]
LONGEST, PAUSE, ACTIONS = 12, 4, 3


def rules(grace: int = 0) -> SessionRules:
    return SessionRules(Sessions(GAP, grace), LONGEST, PAUSE, ACTIONS)


def play(operator: SessionRules, steps: Steps) -> Reader:
    state, reader = pack(operator.state_schema.empty_table()), Reader()
    for batch, time in steps:
        step = operator.step(unpack(state), table_of(batch), time)
        reader.apply(step.outputs["anomalies"])
        state = pack(step.state)
    return reader


@given(runs(), st.sampled_from([0, 1, 9, 25]))
def test_every_step_equals_the_oracle(steps: Steps, grace: int) -> None:
    operator, oracle, reader = rules(grace), Oracle(GAP, grace), Reader()
    state = operator.state_schema.empty_table()
    for batch, time in steps:
        step = operator.step(state, table_of(batch), time)
        late_before = len(oracle.late)
        oracle.arrive(batch, time.before)
        reader.apply(step.outputs["anomalies"])
        state = unpack(pack(step.state))
        assert reader.table == session_rules(oracle.table(time.after), longest=LONGEST, pause=PAUSE, actions=ACTIONS)
        assert sorted(events_of(step.outputs["late"])) == sorted(oracle.late[late_before:])
        assert {name: table.schema for name, table in step.outputs.items()} == operator.outputs


@given(runs())
def test_the_sessions_are_those_of_the_operator_within(steps: Steps) -> None:
    operator = rules(grace=9)
    state = operator.state_schema.empty_table()
    for batch, time in steps:
        step, alone = (each.step(state, table_of(batch), time) for each in (operator, operator.sessions))
        assert (step.state, step.due, step.gauges) == (alone.state, alone.due, alone.gauges)
        assert step.counters.items() >= alone.counters.items()
        state = step.state


def views(*times: int) -> list[Event]:
    return [Event("ada", time, 0, 1) for time in times]


def found(*times: int) -> dict[Any, Any]:
    return play(rules(), [(views(*times), Watermarks(BEGINNING, END))]).table


@pytest.mark.parametrize(("last", "anomaly"), [(12, False), (13, True)])
def test_a_session_of_exactly_the_longest_length_is_none(last: int, anomaly: bool) -> None:
    assert (("session-length", "ada", 0, last + GAP) in found(0, 6, last)) is anomaly


@pytest.mark.parametrize(("last", "anomaly"), [(6, True), (7, False)])
def test_a_break_of_exactly_a_pause_is_a_pause(last: int, anomaly: bool) -> None:
    assert (("no-pause", "ada", 0, last + GAP) in found(0, 3, last)) is anomaly


def test_actions_of_one_moment_are_rated_as_a_break_of_a_millisecond() -> None:
    at_once = [Event("ada", 5, 0, ad) for ad in (1, 2, 3)]
    reader = play(rules(), [(at_once, Watermarks(BEGINNING, END))])
    assert reader.table == {("no-pause", "ada", 5, 15): (0.0, 4.0, 4.0, 3)}


def test_a_late_action_takes_back_what_was_found_of_the_shorter_session() -> None:
    steps = [(views(0, 2, 4), Watermarks(BEGINNING, 14)), (views(11), Watermarks(14, 14)), ([], Watermarks(14, END))]
    reader = play(rules(grace=30), steps)
    assert (reader.tombstones, reader.table) == (1, {})


def test_a_session_that_was_no_anomaly_is_taken_back_without_a_tombstone() -> None:
    steps = [(views(0), Watermarks(BEGINNING, 10)), (views(9), Watermarks(10, END))]
    reader = play(rules(grace=30), steps)
    assert (reader.upserts, reader.tombstones) == (0, 0)


def test_an_empty_step_finds_nothing() -> None:
    operator = rules()
    step = operator.step(operator.state_schema.empty_table(), EVENTS.empty_table(), Watermarks())
    assert isinstance(step.outputs["anomalies"], pa.Table)
    assert step.outputs["anomalies"].num_rows == 0


def test_a_rule_for_single_actions_is_refused() -> None:
    with pytest.raises(ValueError, match="the least is 2"):
        SessionRules(Sessions(), LONGEST, PAUSE, actions=1)
