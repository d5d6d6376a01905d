"""The windows operator against a naive oracle: any arrival order, batching, watermark and restart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.buckets import split_by_bucket
from common.operators.sessions import EVENTS
from common.operators.step import BEGINNING, END, Watermarks
from common.operators.windows import Windows
from common.runtime.frames import pack, unpack
from tests.conformance.anomalies_oracle import Windows as Table
from tests.conformance.anomalies_oracle import windows as windows_of
from tests.conformance.oracle import Event
from tests.unit.operators.test_sessions import batches, events_of, runs, table_of

Steps = list[tuple[list[Event], Watermarks]]

COUNTS = (("views", 0), ("clicks", 1))
SHAPES = st.sampled_from([(10, 10), (10, 5), (12, 3), (1, 1)])
SUBJECTS = st.sampled_from(["userId", "advertisementId"])
GRACES = st.sampled_from([0, 1, 10, 25])


@dataclass
class WindowsOracle:
    """Keeps every accepted event for ever, and puts all of them into windows anew."""

    windows: Windows
    accepted: list[Event] = field(default_factory=list)
    late: list[Event] = field(default_factory=list)

    def arrive(self, batch: list[Event], before: int) -> None:
        for event in batch:
            (self.late if event.time <= before - self.windows.grace else self.accepted).append(event)

    def table(self, watermark: int) -> Table:
        events = set(self.accepted) if self.windows.dedupe else self.accepted
        subject = "user" if self.windows.subject == "userId" else "ad"
        return windows_of(events, subject, self.windows.size, self.windows.every, watermark)


class Reader:
    """Applies upserts, and insists that each says something new."""

    def __init__(self, table: Table | None = None) -> None:
        self.table: Table = table or {}
        self.corrections = 0

    def apply(self, windows: pa.Table) -> None:
        for row in windows.to_pylist():
            subject, start, end, *counts = row.values()
            views, clicks = counts
            key = (str(subject), start, end)
            assert self.table.get(key) != (views, clicks), f"{key} emitted again, unchanged"
            self.corrections += key in self.table
            self.table[key] = (views, clicks)


def windows(shape: tuple[int, int] = (10, 5), grace: int = 0, subject: str = "userId", dedupe: bool = True) -> Windows:
    return Windows(subject, COUNTS, *shape, grace, dedupe)


def play(operator: Windows, steps: Steps) -> Reader:
    """Runs the steps as an engine does: state saved in between, none taken that is neither touched nor due."""
    state, due, reader = pack(operator.state_schema.empty_table()), END, Reader()
    for batch, time in steps:
        if batch or time.after >= due:
            step = operator.step(unpack(state), table_of(batch), time)
            reader.apply(step.outputs["windows"])
            state, due = pack(step.state), step.due
    return reader


@given(runs(), SHAPES, GRACES, SUBJECTS, st.booleans())
def test_every_step_equals_the_oracle(
    steps: Steps, shape: tuple[int, int], grace: int, subject: str, dedupe: bool
) -> None:
    operator = windows(shape, grace, subject, dedupe)
    oracle, reader = WindowsOracle(operator), Reader()
    state, due = operator.state_schema.empty_table(), END
    for batch, time in steps:
        late_before = len(oracle.late)
        oracle.arrive(batch, time.before)
        if batch or time.after >= due:
            step = operator.step(state, table_of(batch), time)
            reader.apply(step.outputs["windows"])
            state, due = unpack(pack(step.state)), step.due
            assert Counter(events_of(step.outputs["late"])) == Counter(oracle.late[late_before:])
        assert reader.table == oracle.table(time.after)
    assert state.num_rows == 0


@given(runs(), SHAPES, GRACES)
def test_an_output_has_its_schema(steps: Steps, shape: tuple[int, int], grace: int) -> None:
    operator = windows(shape, grace)
    state = operator.state_schema.empty_table()
    for batch, time in steps:
        step = operator.step(state, table_of(batch), time)
        state = step.state
        assert state.schema == operator.state_schema
        assert {name: table.schema for name, table in step.outputs.items()} == operator.outputs


@given(runs(), SHAPES, GRACES)
def test_a_step_that_is_not_due_does_nothing(steps: Steps, shape: tuple[int, int], grace: int) -> None:
    operator = windows(shape, grace)
    state = operator.state_schema.empty_table()
    for batch, time in steps:
        step = operator.step(state, table_of(batch), time)
        state = step.state
        if time.after < step.due - 1 < END - 1:
            idle = operator.step(state, EVENTS.empty_table(), Watermarks(time.after, step.due - 1))
            assert idle.outputs["windows"].num_rows == 0
            assert idle.state.equals(state)


@given(batches, st.permutations(range(8)), SHAPES, SUBJECTS)
def test_the_order_of_batches_and_their_size_do_not_matter(
    arrivals: list[list[Event]], order: list[int], shape: tuple[int, int], subject: str
) -> None:
    """SEMANTICS.md: for any order and any batching, with a grace that accepts them all."""
    operator = windows(shape, grace=200, subject=subject)
    at_once = play(operator, [([event for batch in arrivals for event in batch], Watermarks(BEGINNING, END))])
    shuffled = [arrivals[place] for place in order if place < len(arrivals)]
    marks = [BEGINNING, *(10 * place for place in range(1, len(shuffled) + 1))]
    steps = [(batch, Watermarks(marks[i], marks[i + 1])) for i, batch in enumerate(shuffled)]
    assert play(operator, [*steps, ([], Watermarks(marks[-1], END))]).table == at_once.table


@given(runs(), st.data(), SHAPES, SUBJECTS)
def test_redelivery_never_changes_the_table(
    steps: Steps, data: st.DataObject, shape: tuple[int, int], subject: str
) -> None:
    operator = windows(shape, grace=25, subject=subject)
    once = play(operator, steps)
    accepted: list[Event] = []
    again = []
    for batch, time in steps:
        redelivered = data.draw(st.lists(st.sampled_from(accepted), max_size=3)) if accepted else []
        again.append(([*batch, *redelivered], time))
        accepted += [e for e in batch if e.time > time.before - operator.grace]
    twice = play(operator, again)
    assert twice.table == once.table
    assert twice.corrections == once.corrections


@given(runs(), st.integers(1, 5))
def test_parallelism_does_not_matter(steps: Steps, buckets: int) -> None:
    operator = windows(grace=25)
    table: Table = {}
    for bucket in range(buckets):
        parts = [(split_by_bucket(table_of(batch), "userId", buckets).get(bucket), time) for batch, time in steps]
        table |= play(operator, [(events_of(part) if part else [], time) for part, time in parts]).table
    assert table == play(operator, steps).table


@given(runs(), SHAPES)
def test_without_grace_a_tumbling_window_is_emitted_once(steps: Steps, shape: tuple[int, int]) -> None:
    assert play(windows((shape[0], shape[0]), grace=0), steps).corrections == 0


def clicks(*times: int) -> list[Event]:
    return [Event("ada", time, 1, 1) for time in times]


def test_an_event_at_the_end_of_a_window_is_in_the_next_one() -> None:
    reader = play(windows((10, 10)), [(clicks(0, 9, 10), Watermarks(BEGINNING, END))])
    assert reader.table == {("ada", 0, 10): (0, 2), ("ada", 10, 20): (0, 1)}


@pytest.mark.parametrize(("watermark", "emitted"), [(9, 0), (10, 1)])
def test_a_window_closes_when_the_watermark_is_at_its_end(watermark: int, emitted: int) -> None:
    assert len(play(windows((10, 10)), [(clicks(4), Watermarks(BEGINNING, watermark))]).table) == emitted


def test_a_late_event_corrects_all_windows_that_have_closed_at_once() -> None:
    steps = [(clicks(1, 7), Watermarks(BEGINNING, 12)), (clicks(6), Watermarks(12, 12))]
    reader = play(windows((10, 5), grace=30), steps)
    assert reader.table == {("ada", -5, 5): (0, 1), ("ada", 0, 10): (0, 3)}
    assert reader.corrections == 1


def test_a_size_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(ValueError, match="10 ms can't start every 3 ms"):
        windows((10, 3))
