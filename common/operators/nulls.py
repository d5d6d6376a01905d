"""The same rows under a schema that says otherwise what may be null, at any depth.

A cast refuses that where a struct is null whose fields may not be: Arrow counts nulls in the fields, although nobody
can see them.
"""

from __future__ import annotations

import pyarrow as pa

from common.streams.columns import as_array


def nullable(schema: pa.Schema) -> pa.Schema:
    """The schema in which anything may be null."""
    return pa.schema([_nullable_field(field) for field in schema])


def retyped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of a table under a schema that differs from its own only in what may be null."""
    columns = [_retyped(as_array(table[field.name]), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _nullable_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _nullable(field.type))


def _nullable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([_nullable_field(field) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_nullable_field(kind.value_field))
    return kind


def _retyped(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if array.offset:
        array = pa.concat_arrays([array, array.slice(0, 0)])  # its buffers then begin with its first row
    buffers = array.buffers()
    if pa.types.is_struct(kind):
        children = [_retyped(array.field(index), kind.field(index).type) for index in range(kind.num_fields)]
        return pa.Array.from_buffers(kind, len(array), buffers[:1], array.null_count, 0, children)
    items = _retyped(array.values, kind.value_type)
    return pa.Array.from_buffers(kind, len(array), buffers[:2], array.null_count, 0, [items])
