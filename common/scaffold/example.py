"""A value that keeps a contract: the smallest one, for the tests of a new job."""

from __future__ import annotations

from typing import Any

from common.contracts.avro_arrow import AvroSchema


def example(schema: AvroSchema) -> Any:
    """The smallest value of an Avro schema, as JSON has it (timestamps as epoch ms, enums as strings)."""
    return _value(schema)


def _value(schema: Any) -> Any:
    if isinstance(schema, list):
        return None if "null" in schema else _value(schema[0])
    if isinstance(schema, dict):
        return _of_type(schema)
    return {"null": None, "boolean": False, "int": 1, "long": 1, "float": 0.5, "double": 0.5}.get(schema, "a")


def _of_type(schema: dict[str, Any]) -> Any:
    kind = schema["type"]
    if kind == "record":
        return {field["name"]: _value(field["type"]) for field in schema["fields"]}
    if kind == "array":
        return []
    if kind == "enum":
        return schema["symbols"][0]
    return _value(kind)
