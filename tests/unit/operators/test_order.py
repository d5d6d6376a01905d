from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.operators.order import order_by

# Ranges from a bit to all of int64, so that one word, and several, are needed.
numbers = st.one_of(
    st.integers(0, 1), st.integers(-5, 5), st.integers(-(2**40), 2**40), st.integers(-(2**63), 2**63 - 1)
)
rows = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[numbers] * width), max_size=20))


@given(rows)
def test_rows_are_ordered_as_tuples_are(table: list[tuple[int, ...]]) -> None:
    columns = [np.array(column, dtype=np.int64) for column in zip(*table, strict=True)] or [np.zeros(0, np.int64)]
    assert [table[row] for row in order_by(columns)] == sorted(table)


def test_narrow_columns_are_taken_too() -> None:
    columns = [np.array([1, 0, 1], dtype=np.int8), np.array([7, 9, 5], dtype=np.int64)]
    assert order_by(columns).tolist() == [1, 2, 0]
