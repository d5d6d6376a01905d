"""Delta tables: what readers of the table and of its log see."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.errors import AdstreamError, ExitCode
from common.streams.delta import DeltaSink
from common.streams.materialise import table
from common.streams.sink import open_sink
from tests.unit.streams.test_sink import CONTRACTS, ONE, STREAM, TWO, ZERO, rows, stage

deltalake = pytest.importorskip("deltalake")


@pytest.fixture
def sink(tmp_path: Path) -> DeltaSink:
    return DeltaSink.open(str(tmp_path), CONTRACTS)


def opened(root: Path) -> deltalake.DeltaTable:
    return deltalake.DeltaTable(str(root / STREAM))


def test_the_table_has_deltas_types(tmp_path: Path) -> None:
    sink = open_sink(tmp_path, "delta", {"late-events": load("late-events")})
    with sink.writer(ZERO, "a") as writer:
        value = {"stream": "s", "value": "{}", "eventTime": 1, "watermark": 2, "grace": 3, "reason": "r"}
        writer.write(
            {
                "late-events": load("late-events")
                .arrow.empty_table()
                .from_pylist([{"key": "a", "value": value}], load("late-events").arrow)
            }
        )
    sink.deliver(ZERO, writer.parts)
    table = deltalake.DeltaTable(str(tmp_path / "late-events"))
    fields = {field.name: field.type.type for field in table.schema().fields[1].type.fields}
    assert fields["eventTime"] == "timestamp"
    assert table.count() == 1


def test_a_replayed_step_makes_no_new_version(sink: DeltaSink, tmp_path: Path) -> None:
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1), b=rows(2)))
    before = opened(tmp_path).version()
    sink.recover(ZERO)
    sink.deliver(ZERO, stage(sink, ZERO, c=rows(2, 1)))
    assert opened(tmp_path).version() == before
    assert opened(tmp_path).transaction_version("adstream") == 0
    assert len(list((tmp_path / STREAM).glob("*.parquet"))) == 2


def test_a_step_that_differs_is_replaced_in_one_version(sink: DeltaSink, tmp_path: Path) -> None:
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1)))
    before = opened(tmp_path).version()
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(2)))
    assert opened(tmp_path).version() == before + 1
    assert opened(tmp_path).count() == 1


def test_a_step_that_was_optimised_away_is_not_delivered_again(sink: DeltaSink, tmp_path: Path) -> None:
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1), b=rows(2)))
    opened(tmp_path).optimize.compact()
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1, 2)))
    assert opened(tmp_path).count() == 2


def compacted(sink: DeltaSink, root: Path) -> None:
    """Two steps, in one file of Delta's own name."""
    for key, step in enumerate((ZERO, ONE)):
        sink.deliver(step, stage(sink, step, a=rows(key)))
    opened(root).optimize.compact()


def test_a_restart_keeps_what_was_compacted(sink: DeltaSink, tmp_path: Path) -> None:
    compacted(sink, tmp_path)
    for step in (ONE, TWO):
        sink.recover(step)
        assert opened(tmp_path).count() == 2
    sink.deliver(TWO, stage(sink, TWO, a=rows(7)))
    sink.recover(TWO)
    assert opened(tmp_path).count() == 3


def test_steps_that_were_compacted_are_not_taken_back(sink: DeltaSink, tmp_path: Path) -> None:
    compacted(sink, tmp_path)
    with pytest.raises(AdstreamError, match=f"'{tmp_path / STREAM}' was compacted: its steps from 0 on can't be"):
        sink.recover(ZERO)
    assert opened(tmp_path).count() == 2


def test_a_compacted_stream_of_entities_does_not_tell_what_is_newest(sink: DeltaSink, tmp_path: Path) -> None:
    compacted(sink, tmp_path)
    with pytest.raises(AdstreamError, match="was compacted: which record of a key is the newest"):
        table(tmp_path, STREAM, CONTRACTS[STREAM])


def test_files_of_a_transaction_that_was_never_made_are_delivered(sink: DeltaSink, tmp_path: Path) -> None:
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1)))
    parts = stage(sink, ONE, a=rows(2))
    Path(parts[0].path).rename(tmp_path / STREAM / Path(parts[0].path).name)  # killed before the commit
    sink.deliver(ONE, parts)
    assert opened(tmp_path).count() == 2


def test_taking_steps_back_sets_the_transaction_back(sink: DeltaSink, tmp_path: Path) -> None:
    for key, step in enumerate((ZERO, ONE, TWO)):
        sink.deliver(step, stage(sink, step, a=rows(key)))
    sink.recover(ZERO)
    assert opened(tmp_path).count() == 0
    assert opened(tmp_path).transaction_version("adstream") == -1


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(AdstreamError, match="extra 'delta'") as refused:
        open_sink(tmp_path, "delta", CONTRACTS)
    assert refused.value.code is ExitCode.UNAVAILABLE


@pytest.mark.parametrize("kind", [["null", "string"], "string"])
def test_the_table_shows_a_field_that_is_new_in_the_contract(sink: DeltaSink, tmp_path: Path, kind: Any) -> None:
    """Whoever reads it as a table: of the steps before, the field is null."""
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1)))
    before = CONTRACTS[STREAM]
    schema = copy.deepcopy(before.value_schema)
    schema["fields"].append({"name": "country", "type": kind, "default": None if isinstance(kind, list) else ""})
    after = replace(before, version=before.version + 1, value_schema=schema)
    grown = DeltaSink.open(str(tmp_path), {STREAM: after})
    for step in (ONE, TWO):
        grown.recover(step)
        value = {"sum": 1, "name": None, "type": None, "country": "DE"}
        with grown.writer(step, "a") as writer:
            writer.write({STREAM: pa.Table.from_pylist([{"key": 10 + int(step), "value": value}], after.arrow)})
        grown.deliver(step, writer.parts)
    found = pa.table(deltalake.QueryBuilder().register("t", opened(tmp_path)).execute("SELECT * FROM t ORDER BY key"))
    assert [row["value"]["country"] for row in found.to_pylist()] == [None, "DE", "DE"]
    assert opened(tmp_path).transaction_version("adstream") == int(TWO)
