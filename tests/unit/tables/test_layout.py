"""Rows of tables against plain Python."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load, streams
from common.errors import AdstreamError
from common.tables.layout import DELETED, Layout
from tests.unit.streams import strategies

CONTRACTS = [load(stream) for stream in streams()]


def flat_key(key: Any) -> list[Any]:
    """The leaves of a key, depth first."""
    return [leaf for child in key.values() for leaf in flat_key(child)] if isinstance(key, dict) else [key]


@given(st.data())
def test_a_row_is_its_key_and_its_value_as_columns(data: st.DataObject) -> None:
    contract = data.draw(st.sampled_from(CONTRACTS))
    records = data.draw(strategies.tables(contract))
    layout = Layout(contract)
    rows = layout.rows(records)
    fields = [field.name for field in contract.arrow.field("value").type]
    expected = [
        [*flat_key(record["key"]), *((record["value"] or {}).get(name) for name in fields)]
        for record in records.to_pylist()
    ]
    assert rows.drop_columns([DELETED] if layout.upserts else []).schema.equals(layout.columns)
    assert [list(row.values())[: len(layout.columns)] for row in rows.to_pylist()] == expected
    if layout.upserts:
        assert rows[DELETED].to_pylist() == [record["value"] is None for record in records.to_pylist()]


def test_a_key_that_is_a_record_becomes_a_column_a_leaf() -> None:
    layout = Layout(load("ad-sessions"))
    assert layout.columns.names == ["window_start", "window_end", "userId", "actions"]
    assert layout.keys == ("window_start", "window_end", "userId")
    assert layout.columns.field("actions").type.value_type.field("action").type == pa.string()


def test_a_table_is_partitioned_by_the_day_of_a_time() -> None:
    layout = Layout(load("ad-clicks"), "createdEventTime")
    layout.check()
    moment = datetime(2026, 1, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)
    record = {"key": "ada", "value": {"advertisementId": 1, "createdEventTime": moment}}
    (row,) = layout.rows(pa.Table.from_pylist([record], layout.contract.arrow)).to_pylist()
    assert layout.partitioned_by == "createdEventTime_date"
    assert row["createdEventTime_date"] == moment.date()


@pytest.mark.parametrize(
    ("stream", "column", "line"),
    [
        ("ad-clicks", "createdEventTme", "it has no column 'createdEventTme': did you mean 'createdEventTime'?"),
        ("ad-sessions", "actions", "'actions' is list<"),
    ],
)
def test_what_can_not_tell_partitions_is_refused(stream: str, column: str, line: str) -> None:
    with pytest.raises(AdstreamError, match=line):
        Layout(load(stream), column).check()


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.stream)
def test_every_stream_has_a_layout(contract: Any) -> None:
    Layout(contract).check()
