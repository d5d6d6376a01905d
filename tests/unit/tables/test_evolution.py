"""What a table gains and refuses, and rows in the columns of a table that has others."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AdstreamError
from common.tables.evolution import fitted, grown, new_columns

PLAIN = st.sampled_from([pa.int32(), pa.int64(), pa.string(), pa.bool_()])
NAMES = st.sampled_from(["a", "b", "c", "d"])


def structs(kinds: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.StructType]:
    fields = st.dictionaries(NAMES, kinds, min_size=1, max_size=4)
    return fields.map(lambda found: pa.struct([pa.field(name, kind) for name, kind in found.items()]))


KINDS = st.recursive(PLAIN, lambda inner: structs(inner) | inner.map(pa.list_), max_leaves=6)
SCHEMAS = structs(KINDS).map(lambda kind: pa.schema(list(kind)))


def clash(has: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether some path has two types: the naive way to say it."""
    if pa.types.is_struct(has) and pa.types.is_struct(wanted):
        shared = {field.name for field in has} & {field.name for field in wanted}
        return any(clash(has.field(name).type, wanted.field(name).type) for name in shared)
    if pa.types.is_list(has) and pa.types.is_list(wanted):
        return clash(has.value_type, wanted.value_type)
    return has != wanted


@given(SCHEMAS, SCHEMAS)
def test_a_table_gains_what_is_new_and_refuses_what_has_another_type(has: pa.Schema, wanted: pa.Schema) -> None:
    if clash(pa.struct(list(has)), pa.struct(list(wanted))):
        with pytest.raises(AdstreamError, match=r"table 't', column '.*': it is .*, but .* in the contract: give"):
            grown(has, wanted, "table 't'")
        return
    columns = grown(has, wanted, "table 't'")
    assert columns.names[: len(has)] == has.names
    assert set(columns.names) == {*has.names, *wanted.names}
    assert grown(columns, wanted, "").equals(columns)
    assert grown(columns, has, "").equals(columns)


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values(field.type) for field in kind})
    if pa.types.is_list(kind):
        return st.none() | st.lists(values(kind.value_type), max_size=2)
    if pa.types.is_string(kind):
        return st.none() | st.sampled_from(["", "x"])
    return st.none() | (st.booleans() if pa.types.is_boolean(kind) else st.integers(0, 3))


def filled(value: Any, kind: pa.DataType) -> Any:
    """The value with null in the fields that it lacks."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: filled(value.get(field.name), field.type) for field in kind}
    return [filled(item, kind.value_type) for item in value] if pa.types.is_list(kind) else value


@given(SCHEMAS, SCHEMAS, st.data())
def test_rows_fit_into_a_grown_table(has: pa.Schema, wanted: pa.Schema, data: st.DataObject) -> None:
    if clash(pa.struct(list(has)), pa.struct(list(wanted))):
        return
    columns = grown(has, wanted, "")
    row = st.fixed_dictionaries({field.name: values(field.type) for field in wanted})
    rows = data.draw(st.lists(row, max_size=4))
    start = data.draw(st.integers(0, len(rows)))
    table = pa.Table.from_pylist(rows, wanted).slice(start)
    expected = [filled(row, pa.struct(list(columns))) for row in rows[start:]]
    assert fitted(table, columns).to_pylist() == expected
    assert fitted(table, columns).schema.equals(columns)


def test_of_a_database_only_names_of_types_are_known() -> None:
    assert new_columns({"a": "bigint", "old": "text"}, {"a": "bigint", "b": "text"}, "t") == {"b": "text"}
    with pytest.raises(AdstreamError, match="t, column 'a': it is bigint, but integer in the contract"):
        new_columns({"a": "bigint"}, {"a": "integer"}, "t")
