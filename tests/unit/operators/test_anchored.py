from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.anchored import anchors


def naive(rows: list[tuple[int, int]], width: int) -> list[bool]:
    start: dict[int, int] = {}
    begins = []
    for key, time in rows:
        begins.append(key not in start or time > start[key] + width)
        if begins[-1]:
            start[key] = time
    return begins


@given(st.lists(st.tuples(st.integers(-2, 3), st.integers(-30, 30)), max_size=30), st.integers(0, 12))
def test_windows_begin_where_a_row_is_beyond_the_one_before(rows: list[tuple[int, int]], width: int) -> None:
    rows = sorted(rows)
    keys, times = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    assert anchors(keys, times, width).tolist() == naive(rows, width)


@pytest.mark.parametrize("far", [2**61, -(2**61)])
def test_times_far_apart_do_not_overflow(far: int) -> None:
    times = np.sort(np.array([0, far], dtype=np.int64))
    assert anchors(np.array([2**62, 2**62]), times, 10).tolist() == [True, True]
