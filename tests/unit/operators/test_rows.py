from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.operators.rows import codes_of, keep, late_rows, late_schema, order_of, split

SCHEMA = pa.schema([pa.field("time", pa.int64()), pa.field("name", pa.string()), pa.field("note", pa.string())])
rows = st.lists(
    st.fixed_dictionaries(
        {"time": st.integers(0, 3), "name": st.sampled_from(["a", "ä", ""]), "note": st.sampled_from(["x", "y", None])}
    ),
    max_size=12,
)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_rows_arrived(found: list[dict[str, object]], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (pa.Table.from_pylist(each, schema=SCHEMA) for each in (found, shuffled))
    ordered = [t.take(pa.array(order_of([t["time"].to_numpy()], t))).to_pylist() for t in (one, other)]
    assert ordered[0] == ordered[1]
    assert [row["time"] for row in ordered[0]] == sorted(row["time"] for row in found)


def test_equal_rows_keep_their_order() -> None:
    table = pa.Table.from_pylist([{"time": 1, "name": "a", "note": "x"}] * 5, schema=SCHEMA)
    assert order_of([table["time"].to_numpy()], table).tolist() == [0, 1, 2, 3, 4]


@given(rows)
def test_codes_are_equal_for_equal_values(found: list[dict[str, object]]) -> None:
    table = pa.Table.from_pylist(found, schema=SCHEMA)
    codes = codes_of(table, ["time", "name"]).tolist()
    keys = [(row["time"], row["name"]) for row in found]
    assert [a == b for a in codes for b in codes] == [a == b for a in keys for b in keys]


def test_rows_are_kept_and_split_by_a_mask() -> None:
    table = pa.table({"time": [1, 2, 3]})
    assert keep(table, np.array([True, True, True])) is table
    assert keep(table, np.array([False, False, False])).num_rows == 0
    false, true = split(table, np.array([False, True, False]))
    assert (false["time"].to_pylist(), true["time"].to_pylist()) == ([1, 3], [2])


def test_late_rows_tell_the_watermark() -> None:
    late = late_rows(pa.table({"time": pa.array([1], pa.int64())}), 7)
    assert late.to_pylist() == [{"time": 1, "watermark": 7}]
    assert late.schema == late_schema(pa.schema([pa.field("time", pa.int64())]))
