"""Avro schemas as Arrow types: how the records of a stream look in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from common.errors import AdstreamError

AvroSchema = dict[str, Any]
"""An Avro schema as JSON: an object, such as `{"type": "record", …}` or `{"type": "string", "doc": …}`.

Only the key of a stream that a foreign tool writes may be a list, its union with null.
"""

_PRIMITIVES: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_LOGICAL: Mapping[tuple[str, str], pa.DataType] = {("long", "timestamp-millis"): pa.timestamp("ms", tz="UTC")}


def arrow_field(name: str, schema: Any) -> pa.Field:
    """An Avro schema as an Arrow field; only a union with null is nullable.

    Enums become `dictionary<int8, string>`, timestamp-millis become `timestamp[ms, UTC]` (Avro
    specification 1.12, "Complex Types" and "Logical Types").

    Args:
        name: The name of the field.
        schema: The schema, as JSON.

    Raises:
        AdstreamError: The schema holds a type that no stream may use.
    """
    return _field(name, schema, {})


def _field(name: str, schema: Any, named: dict[str, pa.DataType]) -> pa.Field:
    if not isinstance(schema, list):
        return pa.field(name, _type(schema, named), nullable=False)
    branches = [branch for branch in schema if branch != "null"]
    if len(branches) != 1 or "null" not in schema:
        raise AdstreamError(
            f"the field '{name}' is a union of {schema}", "only a union of null and one type is allowed"
        )
    return pa.field(name, _type(branches[0], named), nullable=True)


def _type(schema: Any, named: dict[str, pa.DataType]) -> pa.DataType:
    """The Arrow type of a schema; `named` collects the types it defines, as later parts may name them."""
    if isinstance(schema, str):
        schema = {"type": schema}
    kind = schema["type"]
    if "logicalType" in schema:
        arrow = _LOGICAL.get((kind, schema["logicalType"]))
    elif kind == "record":
        arrow = pa.struct([_field(field["name"], field["type"], named) for field in schema["fields"]])
    elif kind == "enum":
        arrow = pa.dictionary(pa.int8(), pa.string())
    elif kind == "array":
        arrow = pa.list_(_field("item", schema["items"], named))
    elif isinstance(kind, str):
        arrow = _PRIMITIVES.get(kind) or named.get(kind.rpartition(".")[2])
    else:
        arrow = _type(kind, named)
    if arrow is None:
        raise AdstreamError(
            f"the Avro type {schema} can't be used in a stream", "use one that common/contracts/avro_arrow.py knows"
        )
    if kind in ("record", "enum"):
        named[schema["name"]] = arrow
    return arrow
