from __future__ import annotations

from itertools import groupby

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.operators.groups import among, codes, group_by

ROWS = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2)), max_size=12)
KEYED = st.lists(st.tuples(st.sampled_from(["a", "b", "ü"]), st.sampled_from([0.5, -1.0])), max_size=8)


@given(ROWS)
def test_rows_that_are_equal_are_one_group(rows: list[tuple[int, int]]) -> None:
    columns = [np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1)]
    groups = group_by(columns)
    expected = [list(found) for _, found in groupby(sorted(range(len(rows)), key=rows.__getitem__), rows.__getitem__)]
    assert groups.heads.tolist() == [min(found) for found in expected]
    assert groups.total(np.arange(len(rows))).tolist() == [sum(found) for found in expected]
    third = np.arange(len(rows)) % 3 == 0
    assert groups.any(third).tolist() == [any(place % 3 == 0 for place in found) for found in expected]
    assert groups.spread(groups.heads).tolist() == [rows.index(row) for row in rows]


@given(KEYED, KEYED)
def test_a_row_is_among_others_when_one_of_them_is_equal(
    rows: list[tuple[str, float]], others: list[tuple[str, float]]
) -> None:
    tables = [_table(found) for found in (rows, others)]
    assert among(*tables, ["key", "value"]).tolist() == [row in others for row in rows]
    assert among(*tables, ["key"]).tolist() == [row[0] in {key for key, _ in others} for row in rows]


def test_codes_of_chunks_are_numbered_together() -> None:
    column = pa.chunked_array([["a", "b"], ["b", "c", "a"]])
    assert codes(column).tolist() == [0, 1, 1, 2, 0]


def _table(rows: list[tuple[str, float]]) -> pa.Table:
    columns = [pa.array([row[0] for row in rows], pa.string()), pa.array([row[1] for row in rows], pa.float64())]
    return pa.table(columns, names=["key", "value"])
