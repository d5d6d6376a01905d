from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.report.tables import engagements, last_of_each, lateness, reasons


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("xyz"))))
def test_the_last_row_of_each_key_counts(keys: list[tuple[int, str]]) -> None:
    columns = [pa.array([one for one, _ in keys], pa.int64()), pa.array([other for _, other in keys], pa.string())]
    assert last_of_each(columns).tolist() == sorted({key: row for row, key in enumerate(keys)}.values())


def test_engagements_are_those_after_all_corrections() -> None:
    rows = [
        {"key": 1, "value": {"sum": 1, "name": None, "type": None}},
        {"key": 2, "value": {"sum": None, "name": "two", "type": "toys"}},
        {"key": 3, "value": {"sum": 9, "name": "three", "type": "toys"}},
        {"key": 1, "value": {"sum": 4, "name": "one", "type": "toys"}},
        {"key": 3, "value": None},
    ]
    found = engagements(pa.Table.from_pylist(rows, schema=load("ad-engagements").arrow))
    assert sorted(found.to_pylist(), key=lambda row: row["advertisement"]) == [
        {"advertisement": 1, "conversions": 4, "name": "one", "type": "toys"},
        {"advertisement": 2, "conversions": 0, "name": "two", "type": "toys"},
    ]


def test_lateness_is_the_distance_to_the_watermark() -> None:
    value = {"stream": "ad-views", "value": "{}", "eventTime": 40, "watermark": 100, "grace": 10, "reason": "…"}
    found = lateness(pa.Table.from_pylist([{"key": "ann", "value": value}], schema=load("late-events").arrow))
    assert found.to_pylist() == [{"stream": "ad-views", "late": 60}]


def test_reasons_that_differ_in_numbers_are_one() -> None:
    letters = [
        ("ad-views", "value.time is negative: -17", 1),
        ("ad-views", "value.time is negative: -4.5", 2),
        ("ad-clicks", "value.time is negative: -4", 1),
        ("ad-views", "key is empty", 2),
    ]
    rows = [
        {"key": s, "value": {"stream": s, "partition": "0", "offset": 0, "records": n, "raw": b"", "reason": r}}
        for s, r, n in letters
    ]
    found = reasons(pa.Table.from_pylist(rows, schema=load("dead-letters").arrow))
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("value.time is negative: …", "ad-views", 3),
        ("key is empty", "ad-views", 2),
        ("value.time is negative: …", "ad-clicks", 1),
    ]
