"""The dedupe operator against an oracle that never forgets."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.buckets import split_by_bucket
from common.operators.dedupe import Dedupe
from common.operators.step import BEGINNING, END, Watermarks
from tests.unit.operators.steps import Row, Run, counted, outputs, play, runs, table_of

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("part", pa.int64(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("note", pa.string()),
    ]
)
IDS = ("id", "part")
rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b"]),
        "part": st.integers(0, 1),
        "eventTime": st.integers(0, 100),
        "note": st.sampled_from(["x", "y", None]),
    }
)
operators = st.builds(
    Dedupe,
    st.just(SCHEMA),
    st.just(IDS),
    ttl=st.sampled_from([1, 5, 20, 200]),
    grace=st.sampled_from([0, 5, 30]),
    limit=st.just(1_000),
)


class Oracle:
    """Every event that was given on, for ever."""

    def __init__(self, operator: Dedupe) -> None:
        self.operator = operator
        self.given: dict[tuple[str, int], list[int]] = {}

    def arrive(self, batch: list[Row], watermark: int) -> tuple[list[Row], list[Row]]:
        late = [row for row in batch if row["eventTime"] <= watermark - self.operator.grace]
        unique = []
        for row in sorted((r for r in batch if r not in late), key=lambda r: (r["eventTime"], str(content(r)))):
            times = self.given.setdefault((row["id"], row["part"]), [])
            if all(abs(row["eventTime"] - time) >= self.operator.ttl for time in times):
                times.append(row["eventTime"])
                unique.append(row)
        return unique, late


def content(row: Row) -> tuple[str, ...]:
    """A row as its JSON text sorts: a null after any string, as `null` after a quote."""
    return tuple("null" if value is None else f'"{value}"' for value in (row[name] for name in SCHEMA.names))


@given(runs(rows), operators)
def test_every_step_equals_the_oracle(run: Run, operator: Dedupe) -> None:
    """SEMANTICS.md, "Duplicates": what is forgotten could not be repeated any more."""
    oracle = Oracle(operator)
    for step, (batch, time) in zip(play(operator, run), run, strict=True):
        unique, late = oracle.arrive(batch, time.before)
        assert counted(step.outputs["unique"].to_pylist(), SCHEMA) == counted(unique, SCHEMA)
        assert counted(step.outputs["late"].to_pylist(), SCHEMA) == counted(late, SCHEMA)
        assert step.counters["duplicates"] == len(batch) - len(unique) - len(late)
        assert step.counters["forgotten_early"] == 0
    assert step.state.num_rows == 0


@given(runs(rows), operators)
def test_a_bucket_is_never_due_as_passing_time_gives_nothing(run: Run, operator: Dedupe) -> None:
    for step, (_, time) in zip(play(operator, run), run, strict=True):
        assert step.due == END
        idle = operator.step(step.state, SCHEMA.empty_table(), Watermarks(time.after, END))
        assert all(table.num_rows == 0 for table in idle.outputs.values())


@given(runs(rows), operators, st.data())
def test_a_redelivery_never_passes(run: Run, operator: Dedupe, data: st.DataObject) -> None:
    once = outputs(play(operator, run), "unique")
    accepted: list[Row] = []
    again: Run = []
    for batch, time in run:
        accepted += [row for row in batch if row["eventTime"] > time.before - operator.grace]
        again.append(
            ([*batch, *data.draw(st.lists(st.sampled_from(accepted), max_size=3) if accepted else st.just([]))], time)
        )
    assert counted(outputs(play(operator, again), "unique"), SCHEMA) == counted(once, SCHEMA)


@given(runs(rows), operators, st.integers(1, 4))
def test_parallelism_does_not_matter(run: Run, operator: Dedupe, buckets: int) -> None:
    found: list[Row] = []
    for bucket in range(buckets):
        mine = [
            (
                part.to_pylist() if (part := split_by_bucket(table_of(b, SCHEMA), "id", buckets).get(bucket)) else [],
                time,
            )
            for b, time in run
        ]
        found += outputs(play(operator, mine), "unique")
    assert counted(found, SCHEMA) == counted(outputs(play(operator, run), "unique"), SCHEMA)


def event(time: int, name: str = "a") -> Row:
    return {"id": name, "part": 0, "eventTime": time, "note": None}


CASES = {
    "exactly the ttl later is new": ([[event(0)], [event(9)], [event(10)]], [0, 10]),
    "just before the ttl is over is a repetition": ([[event(0)], [event(9)]], [0]),
    "an older copy that comes later is a repetition": ([[event(9)], [event(0)]], [9]),
    "of one batch the earliest counts": ([[event(5), event(3), event(12), event(13)]], [3, 13]),
    "another id is another event": ([[event(0), event(0, "b")]], [0, 0]),
}


@pytest.mark.parametrize(("batches", "times"), CASES.values(), ids=CASES)
def test_what_is_given_on(batches: list[list[Row]], times: list[int]) -> None:
    run = [(batch, Watermarks(BEGINNING, BEGINNING)) for batch in batches]
    steps = play(Dedupe(SCHEMA, IDS, ttl=10, grace=0), run)
    assert sorted(row["eventTime"] for row in outputs(steps, "unique")) == times


def test_beyond_the_limit_the_oldest_is_forgotten_and_counted() -> None:
    operator = Dedupe(SCHEMA, IDS, ttl=100, grace=0, limit=2)
    batches = [[event(2, "b"), event(1), event(3, "c")], [event(1), event(3, "c")]]
    first, second = play(operator, [(batch, Watermarks(BEGINNING, BEGINNING)) for batch in batches])
    assert (first.counters["forgotten_early"], first.gauges["ids_held"]) == (1, 2)
    assert [row["id"] for row in second.outputs["unique"].to_pylist()] == ["a"]


@pytest.mark.parametrize(("time", "late"), [(69, True), (70, True), (71, False)])
def test_the_late_limit_is_exact(time: int, late: bool) -> None:
    (step,) = play(Dedupe(SCHEMA, IDS, grace=30), [([event(time)], Watermarks(100, 100))])
    assert step.outputs["late"].to_pylist() == ([{**event(time), "watermark": 100}] if late else [])


def test_everything_is_forgotten_at_the_end() -> None:
    (step,) = play(Dedupe(SCHEMA, IDS), [([event(1)], Watermarks(BEGINNING, END))])
    assert step.state.num_rows == 0


@pytest.mark.parametrize("ttl", [0, -1])
def test_a_ttl_that_makes_no_two_events_one_is_refused(ttl: int) -> None:
    with pytest.raises(ValueError, match=f"a ttl of {ttl} ms"):
        Dedupe(SCHEMA, IDS, ttl=ttl)
