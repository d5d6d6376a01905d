"""Schemas in the registry: every version of every contract, under the level that they must keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from common.contracts.contract import load, versions
from common.errors import AdstreamError
from common.streams.avro_schema import AvroSchema
from common.streams.kafka.registry import NOT_FOUND, RefusedError, ask


@dataclass(frozen=True)
class Subject:
    """The keys or the values of a stream in the registry.

    Attributes:
        name: `<stream>-key` or `<stream>-value` (Confluent's "topic name strategy").
        level: What a new version must keep, as the registry writes it: `FULL_TRANSITIVE`.
        schemas: The schemas of all versions, the oldest first, none twice in a row.
    """

    name: str
    level: str
    schemas: tuple[AvroSchema, ...]


def subjects_of(stream: str) -> tuple[Subject, ...]:
    """The subjects of a stream, as its contracts want them: of its keys, and of its values; none for JSON."""
    contracts = [load(stream, version) for version in versions(stream)]
    if contracts[-1].meta.encoding == "json":
        return ()
    level = contracts[-1].meta.compatibility.upper()
    keys = _distinct([contract.key_schema for contract in contracts])
    values = _distinct([contract.value_schema for contract in contracts])
    return Subject(f"{stream}-key", level, keys), Subject(f"{stream}-value", level, values)


def register(registry: str, subject: Subject) -> int:
    """Registers what is missing, with the level set first; gives how many schemas that were.

    Args:
        registry: The URL of the registry.
        subject: What should be there.

    Raises:
        AdstreamError: The registry is not reached (`UNAVAILABLE`), or refuses a schema.
    """
    known = found(registry, subject.name)
    missing = [schema for schema in subject.schemas if known is None or schema not in known.schemas]
    try:
        ask(registry, f"/config/{subject.name}", {"compatibility": subject.level}, "PUT")
        for schema in missing:
            ask(registry, f"/subjects/{subject.name}/versions", {"schema": json.dumps(schema)})
    except RefusedError as error:
        raise AdstreamError(
            f"the registry refuses a schema of '{subject.name}' under {subject.level} ({error})",
            "adstream contracts check, and compare with what is registered: adstream streams check",
        ) from error
    return len(missing)


def found(registry: str, name: str) -> Subject | None:
    """A subject as the registry has it; its level is the registry's own where it has none.

    Raises:
        AdstreamError: The registry is not reached (`UNAVAILABLE`).
    """
    versions_path = f"/subjects/{name}/versions"
    try:
        numbers = ask(registry, versions_path)
        schemas = [json.loads(ask(registry, f"{versions_path}/{number}")["schema"]) for number in numbers]
        level = ask(registry, f"/config/{name}?defaultToGlobal=true")["compatibilityLevel"]
    except RefusedError as error:
        if error.code == NOT_FOUND:
            return None
        raise AdstreamError(f"subject '{name}': the registry does not tell it ({error})", "see its log") from error
    return Subject(name, level, tuple(schemas))


def differences(wanted: Subject, given: Subject | None) -> Iterator[str]:
    """In what the registry's subject is not what it should be, one line each."""
    if given is None:
        yield f"subject '{wanted.name}': the registry does not have it"
        return
    if given.level != wanted.level:
        yield f"subject '{wanted.name}': its level is {given.level}, its contract says {wanted.level}"
    for number, schema in enumerate(wanted.schemas, 1):
        if schema not in given.schemas:
            yield f"subject '{wanted.name}': the registry lacks schema {number} of {len(wanted.schemas)}"
    for number, schema in enumerate(given.schemas, 1):
        if schema not in wanted.schemas:
            yield f"subject '{wanted.name}': version {number} in the registry is in no contract"


def _distinct(schemas: list[AvroSchema]) -> tuple[AvroSchema, ...]:
    """A version of a contract may change the key or the value only."""
    return tuple(schema for number, schema in enumerate(schemas) if number == 0 or schema != schemas[number - 1])
