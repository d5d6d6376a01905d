"""Avro schemas of files: a contract's record, and what reading needs of a file's own schema."""

from __future__ import annotations

import json
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse

from common.contracts.contract import Contract

AvroSchema = Any
"""A schema as JSON: a name, an object, or a union."""


def record_schema(contract: Contract) -> AvroSchema:
    """The schema of a stream's Avro files: a record of `key` and `value`; null is a tombstone."""
    value: AvroSchema = contract.value_schema
    return {
        "type": "record",
        "name": contract.stream.replace("-", "_") + "_record",
        "namespace": contract.meta.namespace,
        "fields": [
            {"name": "key", "type": contract.key_schema},
            {"name": "value", "type": ["null", value] if contract.meta.tombstones else value},
        ],
    }


def raw(schema: AvroSchema) -> AvroSchema:
    """A schema without logical types, so that fastavro gives epoch ms and not `datetime` objects."""
    if isinstance(schema, list):
        return [raw(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: raw(part) for name, part in schema.items() if name not in ("logicalType", "doc")}
    return schema


def resolving(contract: AvroSchema, file: AvroSchema) -> AvroSchema:
    """A contract's record schema that takes what a file may hold, so that bad values are judged one by one.

    Fields may be null, and enums have the file's symbols too (Avro specification 1.12, "Schema
    Resolution", would refuse the file for either). The outer record may have any name.
    """
    reader = _tolerant(contract, _enum_symbols(file))
    if isinstance(file, dict) and file.get("type") == "record":
        reader = {**reader, "name": file["name"], "namespace": file.get("namespace", "")}
    return reader


def incompatibility(reader: AvroSchema, writer: AvroSchema) -> str | None:
    """Why a file can't be read under a schema; None if it can."""
    try:
        checker: Any = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        result = checker.get_compatibility(_parsed(reader), _parsed(writer))
    except AvroException as error:
        return str(error)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return None
    return "; ".join(
        f"at {place}: {what}" for place, what in sorted(zip(result.locations, result.messages, strict=False))
    )


def _parsed(schema: AvroSchema) -> Any:
    return parse(json.dumps(schema), validate_names=False)


def _tolerant(schema: AvroSchema, symbols: dict[str, list[str]]) -> AvroSchema:
    if isinstance(schema, list):
        return [_tolerant(branch, symbols) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema["type"]
    if kind == "record":
        fields = [{**child, "type": _nullable(_tolerant(child["type"], symbols))} for child in schema["fields"]]
        return {**schema, "fields": fields}
    if kind == "array":
        return {**schema, "items": _nullable(_tolerant(schema["items"], symbols))}
    if kind == "enum":
        more = [symbol for symbol in symbols.get(schema["name"], []) if symbol not in schema["symbols"]]
        return {**schema, "symbols": [*schema["symbols"], *more]}
    return schema if isinstance(kind, str) else {**schema, "type": _tolerant(kind, symbols)}


def _nullable(schema: AvroSchema) -> AvroSchema:
    if isinstance(schema, list):
        return schema
    return ["null", schema]


def _enum_symbols(schema: AvroSchema) -> dict[str, list[str]]:
    """The symbols of every enum in a schema, by its name without the namespace."""
    found: dict[str, list[str]] = {}
    if isinstance(schema, dict):
        if schema.get("type") == "enum":
            found[schema["name"].rpartition(".")[2]] = schema["symbols"]
        for part in schema.values():
            found |= _enum_symbols(part)
    elif isinstance(schema, list):
        for part in schema:
            found |= _enum_symbols(part)
    return found
