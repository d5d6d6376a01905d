"""The same rows under a schema that says otherwise what may be null, at any depth.

A cast refuses that where a struct is null whose fields may not be: Arrow counts nulls in the fields, although nobody
can see them.
"""

from __future__ import annotations

import pyarrow as pa


def nullable(schema: pa.Schema) -> pa.Schema:
    """The schema in which anything may be null."""
    return pa.schema([_nullable_field(field) for field in schema])


def retyped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of a table under a schema that differs from its own only in what may be null."""
    columns = [_retyped(table[field.name].combine_chunks(), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _nullable_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _nullable(field.type))


def _nullable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([_nullable_field(field) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_nullable_field(kind.value_field))
    return kind


def _retyped(array: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    whole = (
        pa.concat_arrays(array.chunks or [pa.array([], array.type)]) if isinstance(array, pa.ChunkedArray) else array
    )
    if whole.type == kind:
        return whole
    if whole.offset:
        whole = pa.concat_arrays([whole, whole.slice(0, 0)])  # its buffers then begin with its first row
    buffers = whole.buffers()
    if pa.types.is_struct(kind):
        children = [_retyped(whole.field(index), kind.field(index).type) for index in range(kind.num_fields)]
        return pa.Array.from_buffers(kind, len(whole), buffers[:1], whole.null_count, 0, children)
    return pa.Array.from_buffers(
        kind, len(whole), buffers[:2], whole.null_count, 0, [_retyped(whole.values, kind.value_type)]
    )
