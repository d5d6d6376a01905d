"""A table whose stream has a new version of its contract: what it gains, and what it refuses.

A table only gains columns, and structs only gain fields; its old rows have null there. A column whose type
changes, wider or narrower, would make old rows mean something else to whoever reads them, so it is refused.
A column that the contract no longer has stays, and is null from then on.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from common.errors import AdstreamError
from common.streams.columns import as_array, relisted


def grown(table: pa.Schema, wanted: pa.Schema, where: str) -> pa.Schema:
    """The columns of a table once it can take rows of a contract: all it has, and what is new.

    Args:
        table: What it has.
        wanted: The columns of the contract.
        where: The table, for the message.

    Raises:
        AdstreamError: A column has another type.
    """
    return pa.schema(_grown_fields(table, wanted, "", where))


def new_columns(table: Mapping[str, str], wanted: Mapping[str, str], where: str) -> dict[str, str]:
    """As `grown`, for a table whose types are known by name only: the columns that it lacks, with their types.

    Raises:
        AdstreamError: A column has another type.
    """
    for name, kind in wanted.items():
        if name in table and table[name] != kind:
            raise _refused(where, name, table[name], kind)
    return {name: kind for name, kind in wanted.items() if name not in table}


def fitted(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    """Rows in the columns of a table; null in those that they don't have.

    Args:
        rows: Rows whose columns are some of these, in the same types but for the fields of structs.
        columns: The columns.
    """
    if rows.schema.equals(columns):
        return rows
    found = [
        _fitted(as_array(rows[field.name]), field.type)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in columns
    ]
    return pa.Table.from_arrays(found, schema=columns)


def _grown_fields(
    has: pa.Schema | pa.StructType, wanted: pa.Schema | pa.StructType, path: str, where: str
) -> list[pa.Field]:
    before, after = {field.name: field for field in has}, {field.name: field for field in wanted}
    fields = [
        field.with_type(_grown(field.type, after[name].type, f"{path}{name}", where)) if name in after else field
        for name, field in before.items()
    ]
    return [*fields, *(field for name, field in after.items() if name not in before)]


def _grown(has: pa.DataType, wanted: pa.DataType, path: str, where: str) -> pa.DataType:
    if pa.types.is_struct(has) and pa.types.is_struct(wanted):
        return pa.struct(_grown_fields(has, wanted, f"{path}.", where))
    if pa.types.is_list(has) and pa.types.is_list(wanted):
        return pa.list_(has.value_field.with_type(_grown(has.value_type, wanted.value_type, path, where)))
    if has != wanted:
        raise _refused(where, path, str(has), str(wanted))
    return has


def _refused(where: str, column: str, has: str, wanted: str) -> AdstreamError:
    return AdstreamError(
        f"{where}, column '{column}': it is {has}, but {wanted} in the contract",
        "give the field a new name in a new version of the contract, or land into another place",
    )


def _fitted(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type.equals(kind):
        return array
    if pa.types.is_struct(kind):
        place = {array.type.field(i).name: i for i in range(array.type.num_fields)}
        children = [
            _fitted(pc.struct_field(array, [place[child.name]]), child.type)
            if child.name in place
            else pa.nulls(len(array), child.type)
            for child in kind
        ]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        return relisted(array, _fitted(array.flatten(), kind.value_type), kind)
    return array.cast(kind)
