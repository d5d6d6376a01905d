from __future__ import annotations

import json
from datetime import datetime, timezone

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.databases.liberation import Liberation
from common.databases.rows import Rows
from common.errors import AdstreamError
from common.operators.step import END
from common.streams.letters import Assignment, corrected, letters_of

ADS = Liberation.model_validate(
    {
        "table": "advertisement",
        "key": "id",
        "value": {"name": "name", "type": "category"},
        "deleted": "gone",
        "read": {"by": "time", "column": "at"},
    }
)
SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        ("name", pa.string()),
        ("category", pa.string()),
        ("gone", pa.bool_()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)
PAGE = "000000003.p0"
MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def rows(*lines: tuple[int | None, str | None, bool | None]) -> pa.Table:
    made = [(key, name, "Pets", gone, MOMENT) for key, name, gone in lines]
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, line, strict=True)) for line in made], schema=SCHEMA)


def test_rows_become_records_and_deleted_ones_tombstones() -> None:
    decoded = Rows(ADS, load("advertisements")).records(
        rows((1, "a", False), (2, None, True), (3, "c", None)), PAGE, END
    )
    assert decoded.records.schema == load("advertisements").arrow
    assert decoded.records.to_pylist() == [
        {"key": 1, "value": {"name": "a", "type": "Pets"}},
        {"key": 2, "value": None},
        {"key": 3, "value": {"name": "c", "type": "Pets"}},
    ]
    assert decoded.dead.num_rows == 0


def test_a_time_of_deletion_is_a_deletion() -> None:
    timed = ADS.model_copy(update={"deleted": "at"})
    decoded = Rows(timed, load("advertisements")).records(rows((1, "a", False)), PAGE, END)
    assert decoded.records["value"].to_pylist() == [None]


def test_a_row_that_breaks_the_contract_becomes_a_dead_letter_and_no_other_one() -> None:
    decoded = Rows(ADS, load("advertisements")).records(
        rows((1, "a", False), (None, "b", False), (3, None, False)), PAGE, END
    )
    assert decoded.records["key"].to_pylist() == [1]
    letters = decoded.dead["value"].to_pylist()
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (1, "key is null"),
        (2, "value.name is null"),
    ]
    assert json.loads(letters[0]["raw"]) == {"key": None, "value": {"name": "b", "type": "Pets"}}


def test_dead_letters_of_all_pages_are_told_apart_and_can_be_corrected() -> None:
    some, bad = Rows(ADS, load("advertisements")), rows((3, None, False))
    pages = ("000000000.p0", "000000000.p1", "000000001.p0")
    letters = letters_of(some.records(bad, page, END).dead for page in pages)
    assert [letter.identity.partition for letter in letters] == [
        f"advertisements/advertisement.{page}" for page in pages
    ]
    result = corrected(letters, {}, [Assignment.of("value.name=c")], END)
    assert result.records["advertisements"].to_pylist() == [{"key": 3, "value": {"name": "c", "type": "Pets"}}] * 3


def test_the_greatest_value_and_the_places_of_rows_are_known() -> None:
    some = Rows(ADS, load("advertisements"))
    assert some.greatest(rows((1, "a", False))) == int(MOMENT.timestamp() * 1e6)
    assert some.greatest(SCHEMA.empty_table()) is None
    assert some.places(rows((1, "a", False), (7, "a", False))) == [("1",), ("7",)]


@pytest.mark.parametrize(
    ("column", "kind", "line"),
    [
        ("id", pa.float64(), "column 'id' is double, which does not fit 'key'"),
        ("name", pa.int64(), "column 'name' is int64, which does not fit 'value.name'"),
        ("at", pa.string(), "read by time, but column 'at' is string, not a timestamp"),
    ],
)
def test_a_column_of_another_type_is_refused(column: str, kind: pa.DataType, line: str) -> None:
    changed = SCHEMA.set(SCHEMA.get_field_index(column), pa.field(column, kind))
    with pytest.raises(AdstreamError, match=line):
        Rows(ADS, load("advertisements")).check(changed)


@pytest.mark.parametrize(("lag", "fits"), [(600_000, False), (3_600_000, True)])
def test_a_time_without_a_zone_needs_a_lag_of_the_hour_that_comes_twice(lag: int, fits: bool) -> None:
    """Where it is local time: the hour after the end of daylight saving looks like the one before."""
    read = ADS.read.model_copy(update={"lag": lag})
    some = Rows(ADS.model_copy(update={"read": read}), load("advertisements"))
    zoneless = SCHEMA.set(SCHEMA.get_field_index("at"), pa.field("at", pa.timestamp("us")))
    if fits:
        some.check(zoneless)
        return
    with pytest.raises(AdstreamError, match=r"column 'at' has no time zone.*: make it timestamptz, or write lag: 1h"):
        some.check(zoneless)


def test_a_narrower_integer_fits() -> None:
    Rows(ADS, load("advertisements")).check(SCHEMA.set(0, pa.field("id", pa.int16())))
