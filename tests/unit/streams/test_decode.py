"""Every format gives back what was written; every bad record is a dead letter that says why."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from common.contracts.contract import Contract, load, streams
from common.errors import AdstreamError
from common.streams.avro_schema import record_schema
from common.streams.decode import read
from common.streams.encode import open_encoder
from common.streams.folder import Split
from tests.unit.streams.strategies import LATEST, tables

FILES = ("jsonl", "avro", "parquet")
numbers = itertools.count()


def written(folder: Path, stream: str, suffix: str, *batches: pa.Table) -> Split:
    path = folder / f"{next(numbers)}.{suffix}"
    encoder = open_encoder(path, load(stream))
    for batch in batches:
        encoder.write(batch)
    encoder.close()
    return Split(stream, str(path))


def decoded(split: Split, latest: int = LATEST, contract: Contract | None = None) -> tuple[list[dict], list[dict]]:
    """The records, and the values of the dead letters."""
    batches = list(read(split, contract or load(split.stream), latest))
    for batch in batches:
        assert batch.records.schema == load(split.stream).arrow
        assert batch.dead.schema == load("dead-letters").arrow
    records = [row for batch in batches for row in batch.records.to_pylist()]
    return records, [row["value"] for batch in batches for row in batch.dead.to_pylist()]


@pytest.mark.parametrize("stream", streams())
@pytest.mark.parametrize("suffix", FILES)
def test_what_is_written_is_read_back(stream: str, suffix: str, tmp_path: Path) -> None:
    # Any value of the schema, also one that breaks a rule of the contract.
    contract = load(stream)
    contract = replace(contract, meta=contract.meta.model_copy(update={"rules": {}}))

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(tables(contract), tables(contract))
    def round_trip(first: pa.Table, second: pa.Table) -> None:
        records, dead = decoded(written(tmp_path, stream, suffix, first, second), contract=contract)
        assert dead == []
        assert records == first.to_pylist() + second.to_pylist()

    round_trip()


@pytest.mark.parametrize("suffix", FILES)
def test_an_empty_file_holds_no_events(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    path.touch()
    assert list(read(Split("ad-views", str(path)), load("ad-views"), LATEST)) == []


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="can't be read"):
        list(read(Split("ad-views", str(tmp_path / "a.jsonl")), load("ad-views"), LATEST))


GOOD = {"key": "ann", "value": {"advertisementId": 1, "createdEventTime": 5}}
BAD = {
    "key is null": {**GOOD, "key": None},
    "key is empty": {**GOOD, "key": ""},
    "value is null, but 'ad-views' has no tombstones": {**GOOD, "value": None},
    "value.advertisementId is null": {**GOOD, "value": {"advertisementId": None, "createdEventTime": 5}},
    "value.createdEventTime is null": {**GOOD, "value": {"advertisementId": 1, "createdEventTime": None}},
    "value.createdEventTime is negative: -1": {**GOOD, "value": {"advertisementId": 1, "createdEventTime": -1}},
    f"value.createdEventTime is {LATEST + 1}, further ahead of the clock than max_future_skew": {
        **GOOD,
        "value": {"advertisementId": 1, "createdEventTime": LATEST + 1},
    },
}


def bad_file(folder: Path, suffix: str, rows: list[dict]) -> Split:
    """Rows as others might write them: every field nullable."""
    path = folder / f"{next(numbers)}.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == "parquet":
        value = pa.struct(
            [("createdEventTime", pa.timestamp("us")), ("more", pa.int8()), ("advertisementId", pa.int32())]
        )
        micros = [
            row["value"] and {**row["value"], "createdEventTime": _micros(row["value"]["createdEventTime"])}
            for row in rows
        ]
        keys = pa.array([row["key"] for row in rows], pa.large_string())
        pq.write_table(pa.table({"value": pa.array(micros, value), "key": keys}), path, row_group_size=2)
    else:
        fields = [{"name": n, "type": ["null", "long"]} for n in ("createdEventTime", "advertisementId")]
        value = {**load("ad-views").value_schema, "fields": fields}
        schema = {
            "type": "record",
            "name": "Anything",
            "fields": [{"name": "key", "type": ["null", "string"]}, {"name": "value", "type": ["null", value]}],
        }
        with path.open("wb") as file:
            fastavro.writer(file, schema, rows, sync_interval=30)
    return Split("ad-views", str(path))


def _micros(ms: int | None) -> int | None:
    return None if ms is None else ms * 1000


@pytest.mark.parametrize("suffix", FILES)
def test_each_bad_record_is_a_dead_letter_that_names_field_and_value(suffix: str, tmp_path: Path) -> None:
    rows = [GOOD, *BAD.values(), GOOD]
    split = bad_file(tmp_path, suffix, rows)
    records, dead = decoded(split)
    assert len(records) == 2
    assert [letter["reason"] for letter in dead] == list(BAD)
    assert [letter["offset"] for letter in dead] == list(range(1, len(rows) - 1))
    assert {letter["partition"] for letter in dead} == {f"ad-views/{Path(split.path).name}"}
    assert {letter["stream"] for letter in dead} == {"ad-views"}
    assert {letter["records"] for letter in dead} == {1}
    assert json.loads(dead[0]["raw"])["key"] is None


@pytest.mark.parametrize("suffix", FILES)
def test_an_action_that_the_contract_does_not_know_is_a_dead_letter(suffix: str, tmp_path: Path) -> None:
    actions = [{"eventTime": 1, "advertisementId": 7, "action": name} for name in ("View", "Hover", "Click", "Drag")]
    row = {"key": {"window": {"start": 1, "end": 2}, "userId": "ann"}, "value": {"actions": actions}}
    good = {**row, "value": {"actions": [actions[0]]}}
    tombstone = {**row, "value": None}
    rows = [good, row, tombstone]
    path = tmp_path / f"a.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    elif suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        schema = json.loads(
            json.dumps(record_schema(load("ad-sessions"))).replace(
                '["View", "Click"]', '["Drag", "View", "Hover", "Click"]'
            )
        )
        with path.open("wb") as file:
            fastavro.writer(file, schema, rows)
    records, dead = decoded(Split("ad-sessions", str(path)))
    assert [record["value"] is None for record in records] == [False, True]
    assert records[0]["value"]["actions"][0]["action"] == "View"
    assert [letter["reason"] for letter in dead] == ["value.actions.action is 'Hover', not one of View, Click"]
    assert dead[0]["offset"] == 1
