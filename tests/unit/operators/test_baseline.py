"""The baseline, behind windows, against a naive oracle: corrections reach all that depends on them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.baseline import Baseline
from common.operators.step import BEGINNING, END, Watermarks
from common.operators.windows import Windows
from common.runtime.frames import pack, unpack
from tests.conformance.anomalies_oracle import Findings, click_through
from tests.conformance.anomalies_oracle import Windows as Table
from tests.conformance.oracle import Event
from tests.unit.operators.findings import Reader
from tests.unit.operators.test_sessions import runs, table_of
from tests.unit.operators.test_windows import COUNTS, WindowsOracle

Steps = list[tuple[list[Event], Watermarks]]
SIZE = 10


def windows(grace: int) -> Windows:
    return Windows("advertisementId", COUNTS, SIZE, SIZE, grace)


def baseline(grace: int = 0, history: int = 3, least: int = 2, support: int = 1, limit: float = 1.0) -> Baseline:
    schema = windows(grace).windows_schema
    return Baseline(schema, "clicks", "views", "click-through", grace, history, least, support, limit, floor=0.1)


def findings(operator: Baseline, table: Table) -> Findings:
    return click_through(
        table,
        support=operator.support,
        history=operator.windows,
        least=operator.least,
        limit=operator.limit,
        floor=operator.floor,
    )


class Job:
    """Windows, and behind them the baseline, whose table is kept by key as an engine keeps it."""

    def __init__(self, operator: Baseline) -> None:
        self.windows = windows(operator.grace)
        self.baseline = operator
        self.held = self.windows.state_schema.empty_table()
        self.table: dict[int, pa.Table] = {}
        self.arrived: set[int] = set()

    def step(self, batch: list[Event], time: Watermarks) -> pa.Table:
        counted = self.windows.step(self.held, table_of(batch), time)
        self.held, rows = unpack(pack(counted.state)), counted.outputs["windows"]
        self.arrived = set(rows["advertisementId"].to_pylist())
        state = pa.concat_tables(
            [self.baseline.state_schema.empty_table(), *(self.table.pop(ad) for ad in self.arrived & self.table.keys())]
        )
        step = self.baseline.step(state, rows, time)
        assert step.state.schema == self.baseline.state_schema
        assert step.outputs["anomalies"].schema == self.baseline.outputs["anomalies"]
        for ad in self.arrived:
            mine = step.state.filter(pc.equal(step.state["advertisementId"], ad))
            self.table |= {ad: mine} if mine.num_rows else {}
        return step.outputs["anomalies"]


@given(runs(), st.sampled_from([0, 5, 25, 60]), st.integers(1, 4), st.data())
def test_every_step_equals_the_oracle(steps: Steps, grace: int, history: int, data: st.DataObject) -> None:
    least = data.draw(st.integers(1, history))
    operator = baseline(
        grace, history, least, data.draw(st.integers(1, 2)), data.draw(st.sampled_from([0.0, 1.0, 5.0]))
    )
    job, oracle, reader = Job(operator), WindowsOracle(windows(grace)), Reader()
    for batch, time in steps:
        oracle.arrive(batch, time.before)
        reader.apply(job.step(batch, time))
        assert reader.table == findings(operator, oracle.table(time.after))


@given(runs(), st.sampled_from([0, 25]))
def test_no_more_is_held_than_what_can_change_and_its_baseline(steps: Steps, grace: int) -> None:
    job = Job(baseline(grace))
    for batch, time in steps:
        job.step(batch, time)
        for ad in job.arrived & job.table.keys():
            ends = job.table[ad]["end"].to_pylist()
            assert len(set(ends)) == len(ends)
            assert sum(end <= time.after - grace for end in ends) <= job.baseline.windows


def shown(window: int, views: int, clicks: int) -> list[Event]:
    """What happened in the window of this number."""
    views_ = [Event(f"u{user}", window * SIZE, 0, 1) for user in range(views)]
    return views_ + [Event(f"u{user}", window * SIZE, 1, 1) for user in range(clicks)]


def play(operator: Baseline, *steps: tuple[list[Event], Watermarks]) -> Reader:
    job, reader = Job(operator), Reader()
    for batch, time in steps:
        reader.apply(job.step(batch, time))
    return reader


def test_a_window_far_above_those_before_it_is_found_with_its_score() -> None:
    day = [event for window in range(4) for event in shown(window, views=10, clicks=1 if window < 3 else 6)]
    reader = play(baseline(history=3, least=3, limit=5.0), (day, Watermarks(BEGINNING, END)))
    assert reader.table == {("click-through", "1", 30, 40): (0.6, 0.1, 0.5 / 0.1, 10)}


def test_a_late_click_corrects_the_findings_about_later_windows() -> None:
    """The first window's share decides the baseline of the second; a late click makes both alike."""
    first = [*shown(0, views=2, clicks=0), *shown(1, views=2, clicks=1)]
    late = shown(0, views=0, clicks=1)
    operator = baseline(grace=100, history=1, least=1)
    before = play(operator, (first, Watermarks(BEGINNING, 20)))
    assert before.table == {("click-through", "1", 10, 20): (0.5, 0.0, 5.0, 2)}
    after = play(operator, (first, Watermarks(BEGINNING, 20)), (late, Watermarks(20, 20)))
    assert (after.table, after.tombstones) == ({}, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"history": 2, "least": 3}, "2 windows can't need at least 3"), ({"support": 0}, "must be above 0")],
)
def test_a_baseline_that_can_judge_nothing_is_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        baseline(**wrong)
