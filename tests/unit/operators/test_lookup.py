"""The lookup operator against an oracle that never forgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.errors import AdstreamError
from common.operators.buckets import split_by_bucket
from common.operators.lookup import AsDimension, AsFact, Lookup
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import BucketStep, Inbox, Kept, Round
from common.runtime.keyed import Segments
from common.streams.columns import as_array, timestamps_to_ms
from common.topology.checks import check_inlet
from common.topology.nodes import KeyBy, Map, Merge, Process, Sink, Source, Topology
from common.topology.plan import compile_plan
from tests.unit.operators.steps import Row, Run, counted, outputs, play, runs, table_of

FACT = pa.schema(
    [
        pa.field("user", pa.string()),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("ad", pa.string(), nullable=False),
    ]
)
TIMED = pa.schema(
    [
        pa.field("ad", pa.string(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("price", pa.int64()),
    ]
)
UNTIMED = pa.schema([field for field in TIMED if field.name != "eventTime"])
ads = st.sampled_from(["a", "b"])


def fact(ad: str, time: int, user: str | None = "u") -> Row:
    return {"ad": ad, "eventTime": time, "isFact": True, "fact": {"user": user}, "dimension": None}


def row(ad: str, time: int, name: str | None, price: int | None = None) -> Row:
    values = None if name is None else {"name": name, "price": price}
    return {"ad": ad, "eventTime": time, "isFact": False, "fact": None, "dimension": values}


rows = st.one_of(
    st.builds(fact, ads, st.integers(0, 100), st.sampled_from(["u", None])),
    st.builds(row, ads, st.integers(0, 100), st.sampled_from(["x", "y", None]), st.integers(1, 2)),
)
operators = st.builds(
    Lookup,
    st.just(FACT),
    st.just(TIMED),
    st.just("ad"),
    st.sampled_from(["event_time", "latest"]),
    wait=st.sampled_from([0, 1, 20]),
    grace=st.sampled_from([0, 5, 30]),
)


def held_at(versions: list[Row], ad: str, time: int) -> Row | None:
    """The row that holds: of the latest time up to `time`, and of these the last that came."""
    found = [(r["eventTime"], i) for i, r in enumerate(versions) if r["ad"] == ad and r["eventTime"] <= time]
    return versions[max(found)[1]]["dimension"] if found else None


class Oracle:
    """All rows of the dimension, for ever."""

    def __init__(self, operator: Lookup) -> None:
        self.operator = operator
        self.versions: list[Row] = []
        self.waiting: list[Row] = []

    def arrive(self, batch: list[Row], time: Watermarks) -> dict[str, list[Row]]:
        late = [r for r in batch if r["isFact"] and r["eventTime"] <= time.before - self.operator.grace]
        self.versions += [r for r in batch if not r["isFact"]]
        given: dict[str, list[Row]] = {"joined": [], "unmatched": [], "late": [self.columns(r) for r in late]}
        asked, self.waiting = [*self.waiting, *(r for r in batch if r["isFact"] and r not in late)], []
        for r in asked:
            latest = self.operator.at == "latest"
            found = held_at(self.versions, r["ad"], END if latest else r["eventTime"])
            passed = r["eventTime"] + self.operator.wait <= time.after
            if found is not None and (passed or latest):
                given["joined"].append({**self.columns(r), **found})
            elif passed:
                given["unmatched"].append(self.columns(r))
            else:
                self.waiting.append(r)
        return given

    @staticmethod
    def columns(r: Row) -> Row:
        return {"user": r["fact"]["user"], "eventTime": r["eventTime"], "ad": r["ad"]}


@given(runs(rows), operators)
def test_every_step_equals_the_oracle(run: Run, operator: Lookup) -> None:
    """SEMANTICS.md, "Lookups": a row that is no longer kept would not be asked for."""
    oracle = Oracle(operator)
    for step, (batch, time) in zip(play(operator, run), run, strict=True):
        for name, wanted in oracle.arrive(batch, time).items():
            schema = FACT if name == "late" else operator.outputs[name]
            assert counted(step.outputs[name].to_pylist(), schema) == counted(wanted, schema)
        assert step.gauges["facts_waiting"] == len(oracle.waiting)
    assert step.gauges["facts_waiting"] == 0


@given(st.lists(rows, max_size=25), st.lists(st.integers(0, 4), min_size=25, max_size=25), st.sampled_from([0, 7]))
def test_at_event_time_the_answer_does_not_depend_on_arrival(
    arrivals: list[Row], step_of: list[int], wait: int
) -> None:
    """With no row behind the watermark, each fact is joined with the row that holds at its time, whatever came when."""
    batches = [[r for r, place in zip(arrivals, step_of, strict=False) if place == step] for step in range(5)]
    run: Run = []
    before = BEGINNING
    for step, batch in enumerate(batches):
        after = max(before, min((r["eventTime"] for later in batches[step + 1 :] for r in later), default=END) - 1)
        run.append((batch, Watermarks(before, after)))
        before = after
    steps = play(Lookup(FACT, TIMED, "ad", wait=wait, grace=0), run)
    versions = [r for batch in batches for r in batch if not r["isFact"]]
    wanted = [(r, held_at(versions, r["ad"], r["eventTime"])) for batch in batches for r in batch if r["isFact"]]
    joined = [{**Oracle.columns(r), **found} for r, found in wanted if found]
    schema = pa.schema([*FACT, *Lookup(FACT, TIMED, "ad").attributes])
    assert counted(outputs(steps, "joined"), schema) == counted(joined, schema)
    assert len(outputs(steps, "unmatched")) == len(wanted) - len(joined)


@given(runs(rows), operators)
def test_nothing_is_lost(run: Run, operator: Lookup) -> None:
    """records in = joined + unmatched + late + dimension rows + waiting, after any step."""
    total = dict.fromkeys(("joined", "unmatched", "late", "dimension_rows"), 0)
    arrived = 0
    for step, (batch, _) in zip(play(operator, run), run, strict=True):
        total = {name: count + step.counters[name] for name, count in total.items()}
        arrived += len(batch)
        assert sum(total.values()) + step.gauges["facts_waiting"] == arrived


@given(runs(rows), operators)
def test_a_bucket_that_is_not_due_may_be_left_alone(run: Run, operator: Lookup) -> None:
    for step, (_, time) in zip(play(operator, run), run, strict=True):
        quiet = Watermarks(time.after, max(time.after, step.due - 1))
        idle = operator.step(step.state, operator.event_schema.empty_table(), quiet)
        assert all(table.num_rows == 0 for table in idle.outputs.values())


@given(runs(rows), operators, st.integers(1, 4))
def test_parallelism_does_not_matter(run: Run, operator: Lookup, buckets: int) -> None:
    found: list[Row] = []
    for bucket in range(buckets):
        mine: Run = []
        for batch, time in run:
            part = split_by_bucket(table_of(batch, operator.event_schema), "ad", buckets).get(bucket)
            mine.append((part.to_pylist() if part else [], time))
        found += outputs(play(operator, mine), "joined")
    whole = outputs(play(operator, run), "joined")
    assert counted(found, operator.joined) == counted(whole, operator.joined)


CASES: dict[str, tuple[dict[str, Any], list[tuple[list[Row], int]], list[tuple[str, int, str | None]]]] = {
    "the row of a fact's own time": ({}, [([row("a", 0, "x"), row("a", 5, "y"), fact("a", 4), fact("a", 5)], 9)], [("joined", 4, "x"), ("joined", 5, "y")]),
    "a fact waits for the watermark": ({}, [([row("a", 0, "x"), fact("a", 4)], 3), ([row("a", 2, "y")], 4)], [("joined", 4, "y")]),
    "a fact waits for a row": ({"wait": 10}, [([fact("a", 4)], 13), ([row("a", 4, "x")], 14)], [("joined", 4, "x")]),
    "a fact waits no longer than it should": ({"wait": 10}, [([fact("a", 4)], 14), ([row("a", 0, "x")], 20)], [("unmatched", 4, None)]),
    "a row after the fact does not hold": ({}, [([row("a", 5, "x"), fact("a", 4)], 9)], [("unmatched", 4, None)]),
    "a tombstone ends a row": ({}, [([row("a", 0, "x"), row("a", 3, None), fact("a", 2), fact("a", 4)], 9)], [("joined", 2, "x"), ("unmatched", 4, None)]),
    "of one time the last that came": ({}, [([row("a", 0, "x"), row("a", 0, "y"), fact("a", 4)], 9)], [("joined", 4, "y")]),
    "a row that comes too late counts from then on": ({}, [([row("a", 0, "x"), fact("a", 4)], 9), ([row("a", 1, "y"), fact("a", 8)], 9)], [("joined", 4, "x"), ("joined", 8, "y")]),
    "latest: the newest row, at once": ({"at": "latest"}, [([row("a", 50, "x"), fact("a", 4)], 0)], [("joined", 4, "x")]),
    "latest: rows of a step before its facts": ({"at": "latest"}, [([fact("a", 4), row("a", 1, "x"), row("a", 2, "y")], 0)], [("joined", 4, "y")]),
    "latest: no null before the dimension is loaded": ({"at": "latest", "wait": 10}, [([fact("a", 4)], 9), ([row("a", 1, "x")], 9)], [("joined", 4, "x")]),
    "latest: an older row does not come back": ({"at": "latest"}, [([row("a", 5, None)], 40), ([row("a", 2, "x"), fact("a", 40)], 41)], [("unmatched", 40, None)]),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "batches", "given_out"), CASES.values(), ids=CASES)
def test_what_is_joined(settings: dict[str, Any], batches: list[Any], given_out: list[Any]) -> None:
    run, before = [], BEGINNING
    for batch, after in batches:
        run.append((batch, Watermarks(before, after)))
        before = after
    steps = play(Lookup(FACT, TIMED, "ad", **{"grace": 9, **settings}), run)
    found = [(name, r["eventTime"], r.get("name")) for name in ("joined", "unmatched") for r in outputs(steps, name)]
    assert found == given_out


@pytest.mark.parametrize(("time", "late"), [(69, True), (70, True), (71, False)])
def test_the_late_limit_is_exact(time: int, late: bool) -> None:
    (step,) = play(Lookup(FACT, TIMED, "ad", grace=30), [([fact("a", time)], Watermarks(100, 100))])
    assert (step.outputs["late"].num_rows == 1) is late


def test_rows_that_no_fact_can_ask_for_are_forgotten() -> None:
    batch = [row("a", time, "x") for time in (0, 10, 20)]
    (step,) = play(Lookup(FACT, TIMED, "ad", grace=5), [(batch, Watermarks(BEGINNING, 25))])
    assert [r["eventTime"] for r in step.state.to_pylist()] == [20]
    (step,) = play(Lookup(FACT, TIMED, "ad", grace=6), [(batch, Watermarks(BEGINNING, 25))])
    assert [r["eventTime"] for r in step.state.to_pylist()] == [10, 20]


def test_streams_become_one_and_the_dimension_may_have_no_time(tmp_path: Any) -> None:
    lookup = Lookup(FACT, UNTIMED, "ad", at="latest", wait=10)
    rows_in = pa.table({"ad": ["a", "b"], "name": ["x", ""], "price": pa.array([1, None]), "isDeleted": [False, True]})
    dimension = AsDimension(lookup)(rows_in)
    facts = AsFact(lookup)(table_of([{"user": "u", "eventTime": 5, "ad": ad} for ad in ("a", "b")], FACT))
    assert dimension.schema == facts.schema == lookup.event_schema
    step = lookup.step(lookup.state_schema.empty_table(), pa.concat_tables([facts, dimension]), Watermarks(0, 0))
    assert step.outputs["joined"].to_pylist() == [{"user": "u", "eventTime": 5, "ad": "a", "name": "x", "price": 1}]
    pq.write_table(step.state, tmp_path / "state.parquet")
    kept = pq.read_table(tmp_path / "state.parquet", schema=lookup.state_schema)
    assert [(r["ad"], r["isFact"]) for r in kept.to_pylist()] == [("a", False), ("b", True)]
    assert step.due == 15


def test_batch_functions_take_tables_without_rows() -> None:
    lookup = Lookup(FACT, TIMED, "ad")
    assert AsFact(lookup)(FACT.empty_table()).schema == lookup.event_schema
    assert AsDimension(lookup)(TIMED.empty_table()).schema == lookup.event_schema


@pytest.mark.parametrize(
    ("fact_schema", "dimension", "at", "message"),
    [
        (FACT, UNTIMED, "event_time", "the dimension has no 'eventTime' to join by: join it at 'latest'"),
        (FACT, TIMED.remove(0), "latest", "the key 'ad' is not in ['eventTime', 'name', 'price']"),
        (FACT.remove(1), TIMED, "latest", "the facts have no 'eventTime'"),
        (FACT.append(TIMED.field("name")), TIMED, "latest", "facts and dimension both have ['name']"),
        (FACT, UNTIMED.remove(2).remove(1), "latest", "facts and dimension need columns besides key and time"),
    ],
)
def test_a_lookup_that_makes_no_sense_is_refused(fact_schema: Any, dimension: Any, at: Any, message: str) -> None:
    with pytest.raises(AdstreamError) as caught:
        Lookup(fact_schema, dimension, "ad", at=at)
    assert message in str(caught.value)


CLICKS = pa.schema(
    [
        pa.field("advertisementId", pa.int64(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("user", pa.string(), nullable=False),
    ]
)
ADS = pa.schema([CLICKS.field("advertisementId"), pa.field("name", pa.string()), pa.field("type", pa.string())])


def clicks(records: pa.Table) -> pa.Table:
    value = as_array(records["value"])
    time = timestamps_to_ms(value.field("createdEventTime"))
    return pa.table([value.field("advertisementId"), time, records["key"]], schema=CLICKS)


def advertisements(records: pa.Table) -> pa.Table:
    """Records of an entity stream, tombstones and all."""
    value = as_array(records["value"])
    named = {name: pc.struct_field(value, [name]) for name in ("name", "type")}
    return pa.table({"advertisementId": records["key"], **named, "isDeleted": value.is_null()})


def test_a_topology_joins_a_stream_of_facts_with_a_stream_of_entities() -> None:
    lookup = Lookup(CLICKS, ADS, "advertisementId", at="latest", wait=10)
    facts = Map("facts", Map("clicks", Source("ad-clicks"), clicks), AsFact(lookup))
    rows_of = Map("rows", Map("ads", Source("advertisements"), advertisements), AsDimension(lookup))
    process = Process("lookup", KeyBy(Merge("both", (facts, rows_of)), "advertisementId"), lookup)
    plan = compile_plan(Topology("job", tuple(Sink(name, process.output(name)) for name in lookup.outputs)))
    for inlet in plan.inlets:
        check_inlet(inlet.apply, load(inlet.stream), plan.stage(inlet.stage))
    round_ = Round(plan, 0, 1, Segments(""))

    def arrived(stream: str, *found: Row) -> pa.Table:
        (inlet,) = plan.inlets_of(stream)
        return inlet.apply(pa.Table.from_pylist(list(found), schema=load(stream).arrow))

    def click(ad: int, time: int) -> Row:
        return {"key": "ada", "value": {"advertisementId": ad, "createdEventTime": time}}

    def step(state: Mapping[str, Kept], time: Watermarks, *arrivals: pa.Table) -> BucketStep:
        inbox = Inbox()
        for events in arrivals:
            inbox.add("lookup", "", events)
        return round_.step(0, 0, state, inbox, time)

    ads_in = [{"key": ad, "value": {"name": f"ad {ad}", "type": "Pets"}} for ad in (1, 2)]
    ads = arrived("advertisements", *ads_in, {"key": 2, "value": None})
    first = step({}, Watermarks(BEGINNING, 5), arrived("ad-clicks", click(1, 0), click(3, 0)), ads)
    joined = first.records["joined"].to_pylist()
    assert joined == [{"advertisementId": 1, "eventTime": 0, "user": "ada", "name": "ad 1", "type": "Pets"}]
    second = step(first.state, Watermarks(5, 11), arrived("ad-clicks", click(2, 1)))
    assert [r["advertisementId"] for r in second.records["unmatched"].to_pylist()] == [3, 2]
