"""Parquet files of others: what is taken, and what is refused as a whole."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.contracts.contract import load
from common.errors import AdstreamError, ExitCode
from common.streams.decode import read
from common.streams.encode import open_encoder
from common.streams.folder import FolderSource, Split
from tests.unit.streams.strategies import LATEST, as_table

VALUE = {"advertisementId": 1, "createdEventTime": 5}


def rows_of(path: Path, stream: str = "ad-views", start: int = 0, stop: int = -1) -> tuple[list[dict], list[dict]]:
    batches = list(read(Split(stream, str(path), start, stop), load(stream), LATEST))
    return (
        [row for batch in batches for row in batch.records.to_pylist()],
        [row["value"] for batch in batches for row in batch.dead.to_pylist()],
    )


def views(folder: Path, key: pa.Array, time: pa.Array) -> Path:
    value = pa.StructArray.from_arrays([pa.array([1] * len(time)), time], names=["advertisementId", "createdEventTime"])
    pq.write_table(pa.table({"key": key, "value": value}), folder / "a.parquet")
    return folder / "a.parquet"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_any_timestamp_is_taken(unit: str, tmp_path: Path) -> None:
    times = pa.array([0, 86_400_000, -1], pa.int64()).cast(pa.timestamp("ms")).cast(pa.timestamp(unit), safe=False)
    records, dead = rows_of(views(tmp_path, pa.array(["a", "b", "c"]), times))
    assert [record["value"]["createdEventTime"].timestamp() for record in records][:2] == [0, 86_400]
    assert len(dead) == (0 if unit == "s" else 1)  # whole seconds cut the negative ms off


def test_a_time_too_small_for_a_ms_and_negative_stays_negative(tmp_path: Path) -> None:
    _, [letter] = rows_of(views(tmp_path, pa.array(["a"]), pa.array([-1], pa.timestamp("us"))))
    assert letter["reason"] == "value.createdEventTime is negative: -1"


@pytest.mark.parametrize("bad", [b"\xff", b'\xff"'])
def test_bytes_that_are_no_text_are_a_dead_letter(bad: bytes, tmp_path: Path) -> None:
    key = pa.array([b"good", bad, b"\xc3\xa9"]).view(pa.string())
    records, [letter] = rows_of(views(tmp_path, key, pa.array([1, 2, 3])))
    assert [record["key"] for record in records] == ["good", "é"]
    assert (letter["offset"], letter["reason"]) == (1, f"key is not UTF-8: {bad!r}")


def test_an_action_that_is_no_text_is_a_dead_letter(tmp_path: Path) -> None:
    key = {"window": {"start": 1, "end": 2}, "userId": "a"}
    action = pa.array([b"\xff"]).view(pa.string())
    item = pa.StructArray.from_arrays(
        [pa.array([1]), pa.array([2]), action], ["eventTime", "advertisementId", "action"]
    )
    value = pa.StructArray.from_arrays([pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), item)], ["actions"])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"key": [key], "value": value}), path)
    _, [letter] = rows_of(path, "ad-sessions")
    assert letter["reason"] == "value.actions.action is '\ufffd', not one of View, Click"
    assert b'"action":"\xff"' in letter["raw"]


def test_dictionaries_inside_lists_are_read_across_row_groups(tmp_path: Path) -> None:
    actions = [{"eventTime": 1, "advertisementId": 2, "action": "Click"}]
    rows = [({"window": {"start": 1, "end": 2}, "userId": "a"}, {"actions": actions})] * 5
    path = tmp_path / "a.parquet"
    pq.write_table(as_table(load("ad-sessions"), rows), path, row_group_size=2)
    records, dead = rows_of(path, "ad-sessions")
    assert (len(records), dead) == (5, [])


def test_row_groups_give_the_same_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "ad-views").mkdir()
    path = tmp_path / "ad-views" / "a.parquet"
    rows = [("" if n == 5 else f"u{n}", VALUE) for n in range(9)]
    pq.write_table(as_table(load("ad-views"), rows), path, row_group_size=2)
    splits = FolderSource.open(tmp_path, ("ad-views",)).everything(1)
    assert len(splits) == 5
    parts = [rows_of(path, start=split.start, stop=split.stop) for split in splits]
    assert [row for records, _ in parts for row in records] == rows_of(path)[0]
    assert [letter["offset"] for _, dead in parts for letter in dead] == [5]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (pa.table({"value": [VALUE]}), "column 'key' is no such column, wanted string"),
        (pa.table({"key": [1], "value": [VALUE]}), "column 'key' is int64, wanted string"),
        (pa.table({"key": ["a"], "value": ["b"]}), "column 'value' is string, wanted struct"),
        (pa.table({"key": ["a"], "value": [{"advertisementId": 1}]}), "'value.createdEventTime' is no such column"),
        (
            pa.table({"key": ["a"], "value": [{**VALUE, "advertisementId": 1.0}]}),
            "'value.advertisementId' is double, wanted int64",
        ),
        (pa.table({"key": ["a"], "value": [{**VALUE, "createdEventTime": "5"}]}), "is string, wanted timestamp"),
    ],
)
def test_a_schema_that_is_not_the_contracts_is_refused(table: pa.Table, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    with pytest.raises(AdstreamError, match=problem) as refused:
        rows_of(path)
    assert str(path) in refused.value.problem
    assert refused.value.code is ExitCode.REFUSED


def test_a_missing_nullable_column_is_null(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"key": [1], "value": [{"sum": 7}]}), path)
    assert rows_of(path, "ad-engagements")[0] == [{"key": 1, "value": {"sum": 7, "name": None, "type": None}}]


@pytest.mark.parametrize("kept", [3, 0.5, 0.9])
def test_a_truncated_file_is_refused(kept: float, tmp_path: Path) -> None:
    path = views(tmp_path, pa.array(["a"] * 500), pa.array(range(500)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else len(content) * kept)])
    with pytest.raises(AdstreamError, match="can't be read as Parquet"):
        rows_of(path)


def test_a_file_with_a_broken_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(as_table(load("ad-views"), [(f"user {n}", VALUE) for n in range(500)]), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(AdstreamError, match="can't be read as Parquet"):
        rows_of(path)


def test_tombstones_are_written_whatever_arrow_holds_below_them(tmp_path: Path) -> None:
    contract = load("advertisements")
    kind = contract.arrow.field("value").type
    good = pa.array([{"name": "a", "type": "b"}], kind)
    for name, values in {"some": good.take(pa.array([None, 0])), "all": pa.nulls(2, kind)}.items():
        path = tmp_path / f"{name}.parquet"
        encoder = open_encoder(path, contract)
        encoder.write(pa.table([pa.array([1, 2]), values], schema=contract.arrow))
        encoder.close()
        assert pq.read_table(path)["value"].to_pylist() == values.to_pylist()
