from __future__ import annotations

from hypothesis import given

from common.operators.late import LateToldBeside
from common.operators.sessions import Sessions
from common.operators.step import Watermarks
from tests.conformance.oracle import Event
from tests.unit.operators.test_sessions import GAP, events_of, runs, table_of
from tests.unit.operators.test_windows import windows


@given(runs())
def test_both_operators_find_the_same_events_late(steps: list[tuple[list[Event], Watermarks]]) -> None:
    """SEMANTICS.md, "Late events": nothing but time, grace and watermark counts, so one may tell for both."""
    pair = (Sessions(GAP, grace=9), windows(grace=9))
    states = [operator.state_schema.empty_table() for operator in pair]
    for batch, time in steps:
        taken = [operator.step(state, table_of(batch), time) for operator, state in zip(pair, states, strict=True)]
        told, untold = (sorted(events_of(step.outputs["late"])) for step in taken)
        assert told == untold
        states = [step.state for step in taken]


@given(runs())
def test_all_but_the_late_events_is_the_operators_own(steps: list[tuple[list[Event], Watermarks]]) -> None:
    operator = windows(grace=9)
    beside = LateToldBeside(operator)
    state = beside.state_schema.empty_table()
    for batch, time in steps:
        own, step = operator.step(state, table_of(batch), time), beside.step(state, table_of(batch), time)
        assert list(step.outputs) == list(beside.outputs) == ["windows"]
        assert (step.outputs["windows"], step.state, step.due) == (own.outputs["windows"], own.state, own.due)
        assert step.counters == {"windows_upserted": own.counters["windows_upserted"]}
        state = step.state


def test_it_can_stand_where_the_operator_stood() -> None:
    operator = windows()
    beside = LateToldBeside(operator)
    for name in ("state_schema", "state_key", "event_schema", "fingerprint"):
        assert getattr(beside, name) == getattr(operator, name)
    assert beside.step(operator.state_schema.empty_table(), table_of([]), Watermarks()).state.num_rows == 0
