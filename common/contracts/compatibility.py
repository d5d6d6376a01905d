"""Whether the versions of a stream can live side by side, and published ones stay as they were.

Readers and writers are never upgraded at one moment, so records of one version meet code of
another. A change that they can't survive belongs in a new stream.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from common.contracts.avro_arrow import AvroSchema
from common.contracts.contract import STREAMS, Contract, load_from, schema_files, versions
from common.errors import AdstreamError

if TYPE_CHECKING:
    from importlib.abc import Traversable

NEW_STREAM = "a new stream is needed: give the new shape a name of its own and set 'deprecated' on this one"
_FINGERPRINT_DIGITS = 16


def check_stream(stream: str, root: Traversable = STREAMS) -> list[str]:
    """What is wrong with the versions of a stream; nothing if it may be used.

    Args:
        stream: The name of the stream.
        root: The folder of the contracts.

    Raises:
        AdstreamError: There is no such stream, or its files are not well formed.
    """
    contracts = [load_from(root, stream, version) for version in versions(stream, root)]
    return check_published(stream, root) + check_numbers(stream, root) + check_versions(contracts)


def check_versions(contracts: Sequence[Contract]) -> list[str]:
    """The versions of a stream that can't live side by side under its compatibility level.

    `backward`: a new version reads what an older one wrote. `forward`: an older version reads what a
    new one wrote. `full`: both. Each compares neighbours; its transitive kind compares all pairs.

    Args:
        contracts: The versions of one stream, in order.

    Returns:
        One line a problem, naming stream, versions, the incompatibility and its place.
    """
    if not contracts:
        return []
    level = contracts[-1].meta.compatibility
    transitive = level.endswith("_transitive")
    pairs = combinations(contracts, 2) if transitive else pairwise(contracts)
    problems: list[str] = []
    for old, new in pairs:
        if level.startswith(("backward", "full")):
            problems += _unreadable(reader=new, writer=old, level=level)
        if level.startswith(("forward", "full")):
            problems += _unreadable(reader=old, writer=new, level=level)
    return problems


def check_published(stream: str, root: Traversable = STREAMS) -> list[str]:
    """Schema files that were changed after they came into use, vanished, or were never entered.

    Args:
        stream: The name of the stream.
        root: The folder of the contracts.
    """
    found = {name: fingerprint(schema) for name, schema in schema_files(stream, root).items()}
    published = load_from(root, stream).meta.published
    problems = []
    for name in sorted(found.keys() | published.keys()):
        part, _, number = name.partition(".v")
        if name not in found:
            problems.append(f"{stream}: {name}.avsc is in use and is gone: bring it back, every version stays")
        elif name not in published:
            entry = f"{name}: {found[name]}"
            problems.append(f"{stream}: {name}.avsc is not entered: add '{entry}' to 'published' in its stream.yaml")
        elif found[name] != published[name]:
            following = f"{part}.v{int(number) + 1}.avsc"
            problems.append(
                f"{stream}: {name}.avsc is in use and was changed: undo that and make the change in {following}; "
                f"if the versions are then incompatible, {NEW_STREAM}"
            )
    return problems


def check_numbers(stream: str, root: Traversable = STREAMS) -> list[str]:
    """Versions that are missing between others, and keys that nothing uses: a version is told by its value.

    Args:
        stream: The name of the stream.
        root: The folder of the contracts.
    """
    known = versions(stream, root)
    missing = sorted(set(range(1, known[-1])) - set(known))
    problems = [f"{stream}: value.v{number}.avsc is missing: number versions without a gap" for number in missing]
    for name in schema_files(stream, root):
        part, _, number = name.partition(".v")
        if part == "key" and int(number) > known[-1]:
            problems.append(
                f"{stream}: {name}.avsc is in no version: add value.v{number}.avsc, even if it says what "
                f"value.v{known[-1]}.avsc does"
            )
    return problems


def fingerprint(schema: AvroSchema) -> str:
    """What identifies a schema; docs may be improved without changing it.

    Avro's own fingerprint is not used: its canonical form leaves out defaults and logical types.
    """
    content = json.dumps(_without_docs(schema), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_docs(item) for item in schema]
    if isinstance(schema, dict):
        return {name: _without_docs(item) for name, item in schema.items() if name != "doc"}
    return schema


def _unreadable(reader: Contract, writer: Contract, level: str) -> Iterator[str]:
    """Why code of version `reader` can't read records of version `writer`."""
    for part, ours, theirs in (
        ("key", reader.key_schema, writer.key_schema),
        ("value", reader.value_schema, writer.value_schema),
    ):
        where = f"{reader.stream}: version {reader.version} can't read the {part} of version {writer.version}"
        unreadable = _incompatibilities(_parsed(reader, part, ours), _parsed(writer, part, theirs))
        for reason in (*unreadable, *_changed_meanings(ours, theirs)):
            yield f"{where} ({reason}), which '{level}' asks for: {NEW_STREAM}"


def _incompatibilities(reader: avro.schema.Schema, writer: avro.schema.Schema) -> list[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = ", ".join(sorted({kind.name for kind in result.incompatibilities}))
    # The checker starts its sets of places and messages with "/" and nothing.
    places = ", ".join(sorted(result.locations - {"/"})) or "/"
    return [f"{kinds} at {places}: {', '.join(sorted(result.messages))}"]


def _changed_meanings(reader: AvroSchema, writer: AvroSchema) -> Iterator[str]:
    """Fields whose logical type changed: Avro's rules compare the bytes only, not what they stand for."""
    after, before = dict(_logical_types(reader, "")), dict(_logical_types(writer, ""))
    for place in sorted(after.keys() & before.keys()):
        if after[place] != before[place]:
            yield f"logical_type_mismatch at {place or '/'}: {after[place] or 'none'}, not {before[place] or 'none'}"


def _logical_types(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, list):
        for branch in schema:
            if branch != "null":
                yield from _logical_types(branch, place)
    elif isinstance(schema, dict) and schema["type"] == "record":
        for field in schema["fields"]:
            yield from _logical_types(field["type"], f"{place}/{field['name']}")
    elif isinstance(schema, dict) and schema["type"] == "array":
        yield from _logical_types(schema["items"], f"{place}/items")
    else:
        yield place, schema.get("logicalType", "") if isinstance(schema, dict) else ""


def _parsed(contract: Contract, part: str, schema: AvroSchema) -> avro.schema.Schema:
    try:
        return avro.schema.parse(json.dumps(schema))
    except AvroException as error:
        problem = f"{contract.stream}: the {part} of version {contract.version} is not an Avro schema ({error})"
        raise AdstreamError(problem, "correct the file") from None
