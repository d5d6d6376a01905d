"""Records of any stream, drawn from its contract."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import strategies as st

from common.contracts.contract import Contract
from common.streams.conform import symbols_at

LATEST = 4_102_444_800_000
"""2100-01-01, as epoch ms: the latest event time of good records."""
ENOUGH = 8


def tables(contract: Contract) -> st.SearchStrategy[pa.Table]:
    """Tables of good records."""
    row = st.tuples(*(_values(contract, part, part.name) for part in contract.arrow))
    return st.lists(row, max_size=ENOUGH).map(lambda rows: as_table(contract, rows))


def as_table(contract: Contract, rows: list[tuple[object, object]]) -> pa.Table:
    """Rows `(key, value)` as a table."""
    columns = [pa.array([row[i] for row in rows], part.type) for i, part in enumerate(contract.arrow)]
    return pa.table(columns, schema=contract.arrow)


def _values(contract: Contract, part: pa.Field, path: str) -> st.SearchStrategy[object]:
    values = _typed(contract, part.type, path)
    return st.none() | values if part.nullable else values


def _typed(contract: Contract, kind: pa.DataType, path: str) -> st.SearchStrategy[object]:
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({child.name: _values(contract, child, f"{path}.{child.name}") for child in kind})
    if pa.types.is_list(kind):
        return st.lists(_values(contract, kind.value_field, path), max_size=ENOUGH)
    if pa.types.is_dictionary(kind):
        return st.sampled_from(symbols_at(contract, path))
    return _scalar(kind, path)


def _scalar(kind: pa.DataType, path: str) -> st.SearchStrategy[object]:
    if pa.types.is_timestamp(kind):
        return st.integers(0, LATEST)
    if pa.types.is_integer(kind):
        bits = kind.bit_width - 1
        return st.integers(-(2**bits), 2**bits - 1)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_floating(kind):
        return st.floats(allow_nan=False, allow_infinity=False, width=kind.bit_width)
    if pa.types.is_binary(kind):
        return st.binary(max_size=ENOUGH)
    return st.text(min_size=1 if path.startswith("key") else 0, max_size=ENOUGH)
