"""What the tests of event-time operators share: runs of batches under any watermark, and their play."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from common.operators.step import BEGINNING, END, Operator, Step, Watermarks
from common.runtime.frames import pack, unpack

Row = dict[str, Any]
Run = list[tuple[list[Row], Watermarks]]


@st.composite
def runs(draw: st.DrawFn, rows: st.SearchStrategy[Row], steps: int = 6, size: int = 8) -> Run:
    """Batches with any watermark that never goes back, and the end of the input."""
    arrivals = draw(st.lists(st.lists(rows, max_size=size), max_size=steps))
    moments = sorted(draw(st.lists(st.integers(-20, 120), min_size=len(arrivals), max_size=len(arrivals))))
    marks = [BEGINNING, *moments]
    taken = [(batch, Watermarks(marks[i], marks[i + 1])) for i, batch in enumerate(arrivals)]
    return [*taken, ([], Watermarks(marks[-1], END))]


def table_of(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def play(operator: Operator, run: Run) -> list[Step]:
    """Runs all steps, the state saved and restored between them."""
    state, taken = pack(operator.state_schema.empty_table()), []
    for batch, time in run:
        step = operator.step(unpack(state), table_of(batch, operator.event_schema), time)
        assert step.state.schema == operator.state_schema
        assert {name: table.schema for name, table in step.outputs.items()} == dict(operator.outputs)
        state = pack(step.state)
        taken.append(step)
    return taken


def outputs(steps: Sequence[Step], name: str) -> list[Row]:
    """All rows of an output, in order."""
    return [row for step in steps for row in step.outputs[name].to_pylist()]


def counted(found: Sequence[Row], schema: pa.Schema) -> Counter[tuple[object, ...]]:
    """Rows as a multiset, by the columns of a schema."""
    return Counter(tuple(row[name] for name in schema.names) for row in found)


def assert_idle_until_due(operator: Operator, steps: Sequence[Step], run: Run) -> None:
    """A bucket that is not due may be left alone: a step of it would give nothing and change nothing that counts."""
    empty = operator.event_schema.empty_table()
    for step, (_, time) in zip(steps, run, strict=True):
        if time.after < step.due - 1 and step.due < END:
            idle = operator.step(step.state, empty, Watermarks(time.after, step.due - 1))
            assert all(table.num_rows == 0 for table in idle.outputs.values())
            assert idle.state.equals(step.state)
