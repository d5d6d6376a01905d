"""A value that keeps a contract: the smallest one, for the tests of a new job."""

from __future__ import annotations

import json
from typing import Any

from common.contracts.avro_arrow import AvroSchema
from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.operators.step import END
from common.streams.jsonl import decode_lines


def example_of(contract: Contract) -> Any:
    """A value of a stream, as JSON has it.

    Raises:
        AdstreamError: The smallest one breaks a rule of the contract.
    """
    value = example(contract.value_schema)
    line = json.dumps({"key": example(contract.key_schema), "value": value}).encode() + b"\n"
    _, letters = decode_lines(line, contract, END)
    if letters:
        raise AdstreamError(
            f"stream '{contract.stream}': a made-up value breaks its rules ({letters[0][2]})",
            "begin with another stream, and change the job then",
        )
    return value


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
