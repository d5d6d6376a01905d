from __future__ import annotations

import pyarrow as pa
import pytest

from common.streams.columns import TIMESTAMP, ms_to_timestamps, timestamps_to_ms


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
