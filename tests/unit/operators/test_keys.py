"""Rows by key against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.keys import distinct, last_rows, latest, rows_or_null, same

NESTED = pa.struct(
    [
        pa.field("name", pa.string()),
        pa.field("tags", pa.list_(pa.struct([pa.field("number", pa.int64()), pa.field("text", pa.string())]))),
        pa.field("inner", pa.struct([pa.field("flag", pa.bool_())])),
    ]
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


texts = st.sampled_from(["", "a", "b"])
tags = st.lists(
    optional(st.fixed_dictionaries({"number": optional(st.integers(0, 1)), "text": optional(texts)})), max_size=2
)
values = optional(
    st.fixed_dictionaries(
        {
            "name": optional(texts),
            "tags": optional(tags),
            "inner": optional(st.fixed_dictionaries({"flag": optional(st.booleans())})),
        }
    )
)


@given(st.lists(st.tuples(values, values), max_size=8), st.integers(0, 3))
def test_rows_are_the_same_when_python_says_so(pairs: list[tuple[Any, Any]], skipped: int) -> None:
    one, other = (pa.array([pair[side] for pair in pairs], NESTED).slice(skipped) for side in (0, 1))
    assert same(one, other).tolist() == [a == b for a, b in pairs[skipped:]]


@pytest.mark.parametrize("type_", [pa.int8(), pa.int64(), pa.float64(), pa.timestamp("ms", tz="UTC")])
def test_numbers_and_moments_are_compared(type_: pa.DataType) -> None:
    one, other = pa.array([1, 1, None, None], type_), pa.array([1, 2, 1, None], type_)
    assert same(one, other).tolist() == [True, False, False, True]


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-3, 3)))
def test_distinct_numbers_each_key_once(one: list[int], other: list[int]) -> None:
    keys, places = distinct([pa.array(one, pa.int64()), pa.array(other, pa.int64())])
    assert [keys[place].as_py() for place in places[0]] == one
    assert [keys[place].as_py() for place in places[1]] == other
    assert sorted(keys.to_pylist()) == sorted({*one, *other})


@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_the_latest_of_a_key_is_what_arrived_last(held: list[int], arrived: list[int]) -> None:
    held = list(dict.fromkeys(held))
    by_key: dict[int, str] = {key: f"held {row}" for row, key in enumerate(held)}
    by_key |= {key: f"arrived {row}" for row, key in enumerate(arrived)}
    found = latest(
        pa.array([f"held {row}" for row in range(len(held))], pa.string()),
        last_rows(np.array(held, np.int64), 4),
        pa.array([f"arrived {row}" for row in range(len(arrived))], pa.string()),
        last_rows(np.array(arrived, np.int64), 4),
    )
    assert found.to_pylist() == [by_key.get(key) for key in range(4)]


def test_only_the_rows_that_count_are_looked_at() -> None:
    assert last_rows(np.array([0, 1, 0, 1]), 3, among=np.array([0, 1])).tolist() == [0, 1, -1]


def test_a_row_that_is_not_there_is_null() -> None:
    assert rows_or_null(pa.array([5, None]), np.array([0, -1, 1])).to_pylist() == [5, None, None]
