from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from common.errors import AdstreamError, ExitCode
from common.operators.buckets import bucket_of
from common.operators.step import END, Step, Watermarks
from common.runtime.bucket import Inbox, Round, pack_state, unpack_state
from common.runtime.frames import Frame, Kind, pack
from common.runtime.keyed import Segments, Stored
from common.topology.plan import Link, Outlet, Plan, Stage

ROWS = pa.schema([pa.field("key", pa.int64(), nullable=False), pa.field("value", pa.int64(), nullable=False)])
BUCKETS = 4


@dataclass(frozen=True)
class Keep:
    """Holds the last value of each key, and gives on what arrived."""

    state_key: str | None = None
    state_schema: pa.Schema = ROWS
    event_schema: pa.Schema = ROWS
    outputs: Mapping[str, pa.Schema] = field(default_factory=lambda: {"rows": ROWS})
    fingerprint: Mapping[str, int | str | bool] = field(default_factory=dict)

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        old = state.filter(pc.invert(pc.is_in(state["key"], value_set=pc.unique(events["key"]))))
        last = {row["key"]: row["value"] for row in events.to_pylist()}
        new = pa.Table.from_pylist([{"key": key, "value": value} for key, value in last.items()], ROWS)
        return Step(pa.concat_tables([old, new]), {"rows": events}, {"seen": events.num_rows}, {"held": 1})


def add_one(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, ROWS.field("key"), pc.add(rows["key"], 1))


def plan(*, second_round: int, state_key: str | None = None, functions: tuple[object, ...] = ()) -> Plan:
    return Plan(
        name="job",
        stages=(Stage("first", "key", Keep(state_key), 0), Stage("second", "key", Keep(), second_round)),
        inlets=(),
        links=(Link("first", "rows", functions, "second"),),
        outlets=(Outlet("second", "rows", (), "out"),),
        dead_letters="dead-letters",
        balance=(),
    )


def rows(*pairs: tuple[int, int]) -> pa.Table:
    return pa.Table.from_pylist([{"key": key, "value": value} for key, value in pairs], ROWS)


def bucket(key: int) -> int:
    return int(bucket_of(pa.array([key]), BUCKETS)[0])


def inbox(*batches: tuple[str, pa.Table]) -> Inbox:
    filled = Inbox()
    for order, events in batches:
        filled.add("first", order, events)
    return filled


def test_batches_are_taken_in_their_order_however_they_arrive(tmp_path: Path) -> None:
    round_ = Round(plan(second_round=0), 0, BUCKETS, Segments(str(tmp_path)))
    arrived = inbox(("b/2", rows((7, 3))), ("a/1", rows((7, 1))), ("b/1", rows((7, 2))))
    done = round_.step(0, bucket(7), {}, arrived, Watermarks())
    assert done.records["out"]["value"].to_pylist() == [1, 2, 3]
    assert done.state["second"].equals(rows((7, 3)))


def test_what_a_stage_gives_is_taken_in_the_same_round_or_sent_on(tmp_path: Path) -> None:
    alone = Round(plan(second_round=1), 0, BUCKETS, Segments(str(tmp_path)))
    done = alone.step(0, bucket(7), {}, inbox(("a", rows((7, 1)))), Watermarks())
    assert not done.records
    (sent,) = done.onward
    assert (sent.stage, sent.bucket, sent.events) == ("second", bucket(7), rows((7, 1)))
    assert not alone.takes(sent.frame())
    assert Round(alone.plan, 1, BUCKETS, alone.segments).takes(sent.frame())


def test_time_is_for_every_round_and_dead_letters_for_the_first(tmp_path: Path) -> None:
    first, second = (Round(plan(second_round=1), n, BUCKETS, Segments(str(tmp_path))) for n in (0, 1))
    time, dead = Frame(0, Kind.TIME, "p", 5), Frame(0, Kind.DEAD, "p")
    assert [round_.takes(time) for round_ in (first, second)] == [True, True]
    assert [round_.takes(dead) for round_ in (first, second)] == [True, False]


def test_another_key_inside_a_round_is_a_defect(tmp_path: Path) -> None:
    key = next(key for key in range(100) if bucket(key) != bucket(key + 1))
    round_ = Round(plan(second_round=0, functions=(add_one,)), 0, BUCKETS, Segments(str(tmp_path)))
    with pytest.raises(AdstreamError, match="'first': what it gives to 'second' has another 'key'") as caught:
        round_.step(0, bucket(key), {}, inbox(("a", rows((key, 1)))), Watermarks())
    assert caught.value.code is ExitCode.DEFECT


def test_a_table_by_key_lies_in_files_and_its_rows_are_counted(tmp_path: Path) -> None:
    round_ = Round(plan(second_round=1, state_key="key"), 0, BUCKETS, Segments(str(tmp_path)))
    state = {"first": Stored()}
    for step, pairs in enumerate([((7, 1), (8, 1)), ((7, 2),)]):
        done = round_.step(step, 0, state, inbox(("a", rows(*pairs))), Watermarks())
        state = done.state
    kept = state["first"]
    assert isinstance(kept, Stored)
    assert done.gauges == {"held": 1, "first_rows": 2}
    assert done.due == END
    everything = round_.segments.everything(kept, "key", ROWS)
    assert sorted(everything.to_pylist(), key=lambda row: row["key"]) == rows((7, 2), (8, 1)).to_pylist()


def test_records_are_counted_where_they_come_in(tmp_path: Path) -> None:
    round_ = Round(plan(second_round=0), 0, BUCKETS, Segments(str(tmp_path)))
    frames = [
        Frame(0, Kind.EVENTS, "p", payload=pack(rows((7, 1))), stage="first", order="1", records=3),
        Frame(0, Kind.TIME, "p", 5),
    ]
    done = round_.step(0, bucket(7), {}, Inbox.of(frames), Watermarks())
    assert done.counters == {"records_in": 3, "dead_letters": 0, "seen": 2}


def test_state_comes_back_as_it_was_packed() -> None:
    state = {"first": rows((7, 1)), "second": Stored(("a",), (1,), 1)}
    assert unpack_state(pack_state(state)) == state
