"""Delta tables as a job keeps them: what is in them after steps, steps taken again, conflicts and new contracts."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.contract import Contract, load
from common.errors import AdstreamError, ExitCode
from common.operators.landing import Keyed, Land
from common.operators.step import Watermarks
from common.tables import care
from common.tables.delta import ATTEMPTS, DeltaTables, again
from common.tables.layout import DELETED, Layout
from common.tables.place import TablePlace
from tests.unit.streams.strategies import as_table, tables

deltalake = pytest.importorskip("deltalake")

ENTITY, EVENT = "advertisements", "ad-clicks"


def kept(root: Path, *contracts: Contract, **partitions: str) -> DeltaTables:
    return DeltaTables(
        str(root),
        TablePlace(str(root)),
        {c.stream: Layout(c, partitions.get(c.stream.replace("-", "_"), "")) for c in contracts},
    )


def deliver(sink: DeltaTables, step: int, *tables: tuple[str, pa.Table]) -> None:
    with sink.writer(f"{step:09d}", "p0") as writer:
        for stream, records in tables:
            writer.write({stream: records})
    sink.deliver(f"{step:09d}", writer.parts)


def ads(**values: str | None) -> pa.Table:
    """Records of advertisements by their key, `k1="name"`; None is a tombstone."""
    rows = [(int(key[1:]), None if name is None else {"name": name, "type": "Pets"}) for key, name in values.items()]
    return as_table(load(ENTITY), rows)


def clicks(*times: int) -> pa.Table:
    return as_table(load(EVENT), [("ada", {"advertisementId": 1, "createdEventTime": time}) for time in times])


def opened(root: Path, stream: str = ENTITY) -> Any:
    return deltalake.DeltaTable(str(root / stream))


def names(root: Path) -> dict[int, str]:
    return {row["key"]: row["name"] for row in care.whole(opened(root)).to_pylist()}


def lines(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True, default=str) for row in rows)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_table_is_what_its_streams_records_leave(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    contract = load(data.draw(st.sampled_from([ENTITY, "ad-sessions", "ad-engagements", EVENT, "late-events"])))
    root, layout = tmp_path_factory.mktemp("tables"), Layout(contract)
    sink, operator = kept(root, contract), Land(contract)
    expected: list[dict[str, Any]] = []
    for step in range(data.draw(st.integers(1, 4))):
        given_rows = data.draw(tables(contract))
        done = operator.step(operator.state_schema.empty_table(), Keyed(contract)(given_rows), Watermarks())
        for _ in range(data.draw(st.integers(1, 2))):  # some steps are taken again
            sink.recover(f"{step:09d}")
            deliver(sink, step, (contract.stream, done.outputs["records"]))
        expected += layout.rows(given_rows).to_pylist()
    if layout.upserts:
        last = {tuple(row[key] for key in layout.keys): row for row in expected}
        expected = [row for row in last.values() if not row.pop(DELETED)]
    found = care.whole(opened(root, contract.stream)).to_pylist() if (root / contract.stream).exists() else []
    assert lines(found) == lines(expected)


def test_a_step_that_is_taken_again_makes_no_new_version(tmp_path: Path) -> None:
    sink = kept(tmp_path, load(ENTITY), load(EVENT))
    deliver(sink, 0, (ENTITY, ads(k1="a")), (EVENT, clicks(1)))
    assert sink.delivered() == 0
    for _ in range(2):
        deliver(sink, 1, (EVENT, clicks(2)))
    assert sink.delivered() == 1
    assert opened(tmp_path, EVENT).version() == 2 and opened(tmp_path, EVENT).count() == 2
    assert not list((tmp_path / "_staging").rglob("*.parquet"))


def test_what_a_killed_run_left_is_no_part_of_the_table(tmp_path: Path) -> None:
    sink = kept(tmp_path, load(EVENT))
    deliver(sink, 0, (EVENT, clicks(1)))
    first = next((tmp_path / EVENT).glob("*.parquet"))
    (tmp_path / EVENT / f"part-{first.name}").write_bytes(first.read_bytes())  # killed before its transaction
    deliver(sink, 1, (EVENT, clicks(2)))
    assert opened(tmp_path, EVENT).count() == 2
    assert len(care.vacuum(opened(tmp_path, EVENT), 0, dry_run=False)) == 1


def test_a_late_row_goes_to_the_partition_of_its_day(tmp_path: Path) -> None:
    day = 86_400_000
    sink = kept(tmp_path, load(EVENT), ad_clicks="createdEventTime")
    for step, time in enumerate((0, day, 2 * day, day - 1)):
        deliver(sink, step, (EVENT, clicks(time)))
    folders = {path.parent.name: 0 for path in (tmp_path / EVENT).rglob("*.parquet")}
    assert sorted(folders) == [f"createdEventTime_date=1970-01-0{day}" for day in (1, 2, 3)]
    rows = care.query(
        TablePlace(str(tmp_path)),
        'SELECT "createdEventTime_date" AS d, count(*) AS n FROM ad_clicks GROUP BY 1 ORDER BY 1',
    )
    assert rows["n"].to_pylist() == [2, 1, 1]
    with pytest.raises(AdstreamError, match="partitioned by 'createdEventTime_date', not by 'nothing': set its"):
        deliver(kept(tmp_path, load(EVENT)), 4, (EVENT, clicks(0)))


def with_fields(contract: Contract, *changes: dict[str, Any]) -> Contract:
    """The contract in another version of its value: fields are replaced, or added."""
    fields = {field["name"]: field for field in contract.value_schema["fields"]}
    fields |= {change["name"]: change for change in changes}
    schema = {**contract.value_schema, "fields": list(fields.values())}
    return replace(contract, version=contract.version + 1, value_schema=schema)


def test_a_new_field_becomes_a_column_and_is_null_in_old_rows(tmp_path: Path) -> None:
    old = load(ENTITY)
    new = with_fields(old, {"name": "price", "type": ["null", "long"], "default": None})
    deliver(kept(tmp_path, old), 0, (ENTITY, ads(k1="a", k2="b")))
    deliver(kept(tmp_path, new), 1, (ENTITY, as_table(new, [(2, {"name": "B", "type": "Pets", "price": 7})])))
    deliver(kept(tmp_path, old), 2, (ENTITY, ads(k3="c")))  # an old copy of the job goes on, too
    rows = {row["key"]: row["price"] for row in care.whole(opened(tmp_path)).to_pylist()}
    assert rows == {1: None, 2: 7, 3: None}


def test_a_field_deep_inside_may_be_new(tmp_path: Path) -> None:
    old = load("ad-sessions")
    actions = json.loads(json.dumps(old.value_schema["fields"][0]))
    actions["type"]["items"]["fields"].append({"name": "place", "type": ["null", "string"], "default": None})
    new = with_fields(old, actions)
    key = {"window": {"start": 0, "end": 1}, "userId": "ada"}
    action = {"eventTime": 0, "advertisementId": 1, "action": "View"}
    deliver(kept(tmp_path, old), 0, (old.stream, as_table(old, [(key, {"actions": [action]})])))
    other = {**key, "userId": "bob"}
    records = as_table(new, [(other, {"actions": [{**action, "place": "top"}]})])
    deliver(kept(tmp_path, new), 1, (old.stream, records))
    found = care.whole(opened(tmp_path, old.stream)).to_pylist()
    assert {row["userId"]: row["actions"][0]["place"] for row in found} == {"ada": None, "bob": "top"}


@pytest.mark.parametrize("kind", ["int", "double", "string"])
def test_another_type_is_refused_and_the_table_stays(tmp_path: Path, kind: str) -> None:
    old = load(EVENT)
    new = with_fields(old, {"name": "advertisementId", "type": kind})
    deliver(kept(tmp_path, old), 0, (EVENT, clicks(1)))
    value = {"advertisementId": "1" if kind == "string" else 1, "createdEventTime": 2}
    line = (
        f"table '{tmp_path / EVENT}', column 'advertisementId': it is int64, but {'int32' if kind == 'int' else kind}"
    )
    with pytest.raises(AdstreamError, match=line):
        deliver(kept(tmp_path, new), 1, (EVENT, as_table(new, [("ada", value)])))
    assert opened(tmp_path, EVENT).version() == 1


def test_maintenance_beside_the_job_loses_nothing(tmp_path: Path) -> None:
    sink, ended = kept(tmp_path, load(ENTITY)), threading.Event()
    deliver(sink, 0, (ENTITY, ads(k0="0")))

    def maintain() -> None:
        while not ended.is_set():
            care.compact(opened(tmp_path), 2**20)

    keeper = threading.Thread(target=maintain)
    keeper.start()
    for step in range(1, 25):
        deliver(sink, step, (ENTITY, ads(**{f"k{step % 7}": str(step), f"k{step}": str(step)})))
    ended.set()
    keeper.join()
    expected = {0: "0"}
    for step in range(1, 25):
        expected |= {step % 7: str(step), step: str(step)}
    assert names(tmp_path) == expected
    assert [found.step for found in care.history(opened(tmp_path)) if found.step is not None] == list(range(24, -1, -1))


def test_a_conflict_is_tried_again_and_told_plainly_when_it_stays() -> None:
    attempts: list[int] = []

    def conflicting() -> None:
        attempts.append(1)
        raise deltalake.exceptions.CommitFailedError("somebody else was first")

    with pytest.raises(AdstreamError, match="table 't': others wrote to it 10 times while a step") as refused:
        again(conflicting, "table 't'")
    assert refused.value.code is ExitCode.UNAVAILABLE and len(attempts) == ATTEMPTS


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / EVENT).mkdir()
    (tmp_path / EVENT / "0.jsonl").write_text("{}")
    with pytest.raises(AdstreamError, match="holds files that are not a Delta table"):
        kept(tmp_path, load(EVENT)).recover("000000000")


def test_versions_are_seen_as_they_were_until_their_files_are_dropped(tmp_path: Path) -> None:
    sink = kept(tmp_path, load(ENTITY))
    for step, records in enumerate((ads(k1="a"), ads(k1="b", k2="c"), ads(k1=None))):
        deliver(sink, step, (ENTITY, records))
    counts = [care.at_version(opened(tmp_path), version, "").count() for version in range(4)]
    assert counts == [0, 1, 2, 1]
    moment = care.at_version(opened(tmp_path), None, "2100-01-01T00:00:00Z")
    assert moment.version() == 3
    with pytest.raises(AdstreamError, match="table 'advertisements' has no version 9: see"):
        care.at_version(opened(tmp_path), 9, "")
    assert care.vacuum(opened(tmp_path), 0, dry_run=True)
    assert opened(tmp_path).count() == 1
