from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.operators.nulls import nullable, retyped

INSIDE = pa.struct([pa.field("sum", pa.int64(), nullable=False), pa.field("name", pa.string(), nullable=False)])
STRICT = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("side", INSIDE),
        pa.field("sides", pa.list_(pa.field("item", INSIDE, nullable=False)), nullable=False),
    ]
)
SIDES = st.fixed_dictionaries({"sum": st.integers(-9, 9), "name": st.text(max_size=3)})
ROWS = st.lists(
    st.fixed_dictionaries({"key": st.integers(0, 9), "side": st.none() | SIDES, "sides": st.lists(SIDES, max_size=3)}),
    max_size=20,
)


@given(rows=ROWS, cut=st.integers(0, 5))
def test_rows_stay_as_they_are_whatever_may_be_null(rows: list[dict[str, Any]], cut: int) -> None:
    free = pa.Table.from_pylist(rows, nullable(STRICT)).slice(cut)
    strict = retyped(free, STRICT)
    assert strict.schema == STRICT
    assert strict.to_pylist() == rows[cut:]
    again = retyped(strict.slice(1), nullable(STRICT))
    assert again.schema == nullable(STRICT)
    assert again.to_pylist() == rows[cut + 1 :]
