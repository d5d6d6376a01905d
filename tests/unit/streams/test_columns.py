from __future__ import annotations

import pyarrow as pa
import pytest

from common.streams.columns import TIMESTAMP, item_counts, lists_of, ms_to_timestamps, relisted, timestamps_to_ms


@pytest.mark.parametrize(
    "column", [pa.array([0, None, -1, 2**62]), pa.chunked_array([[1], [None]]), pa.chunked_array([], pa.int64())]
)
def test_views_keep_values_and_nulls(column: pa.Array | pa.ChunkedArray) -> None:
    times = ms_to_timestamps(column)
    assert times.type == TIMESTAMP
    assert timestamps_to_ms(times) == column


def test_a_view_is_no_copy() -> None:
    column = pa.array([1, 2, 3])
    assert ms_to_timestamps(column).buffers()[1].address == column.buffers()[1].address


LISTS = pa.array([["z"], ["a"], None, [], ["b", "c"]])


@pytest.mark.parametrize(
    "lists", [LISTS, LISTS.slice(1), LISTS.slice(3), LISTS.slice(0, 0), LISTS.cast(pa.large_list(pa.string()))]
)
def test_lists_of_other_items_are_as_long_and_as_null(lists: pa.Array) -> None:
    lengths = relisted(lists, pa.array([ord(item) for item in lists.flatten().to_pylist()], pa.int64()))
    assert lengths.to_pylist() == [
        None if items is None else [ord(item) for item in items] for items in lists.to_pylist()
    ]


def test_lists_without_nulls_are_empty_where_there_were_some() -> None:
    kind = pa.list_(pa.field("element", pa.string(), nullable=False))
    lists = lists_of(LISTS.flatten(), item_counts(LISTS), kind)
    assert lists.type == kind
    assert lists.to_pylist() == [["z"], ["a"], [], [], ["b", "c"]]
