"""Contracts: the schemas of a stream's records, in every version, and who answers for it.

A contract lives in `streams/<stream>/`: `stream.yaml`, `value.v<N>.avsc` for every version, and
`key.v<N>.avsc` for every version in which the key changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.config.job import Duration
from common.contracts.avro_arrow import AvroSchema, arrow_field
from common.contracts.rules import Declared, Listed, Rule, compiled
from common.errors import AdstreamError
from common.names import pick

if TYPE_CHECKING:
    from importlib.abc import Traversable

STREAMS: Traversable = files("common.contracts").joinpath("streams")
"""The contracts of this suite. A resource and not a path, so that they also load out of a zip."""

OPERATIONS = "adstream.operations"
"""The namespace of streams that are no part of an answer: what is late depends on the steps, what is dead on the files."""

Compatibility = Literal["backward", "forward", "full", "backward_transitive", "forward_transitive", "full_transitive"]
_SCHEMA_FILE = re.compile(r"(key|value)\.v([1-9]\d*)\.avsc")


class Tags(BaseModel):
    """Which fields need care: paths such as `key`, `key.userId` or `value.actions.eventTime`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pii: tuple[str, ...] = Field(default=(), description="fields that name or describe a person")
    financial: tuple[str, ...] = Field(default=(), description="fields that money depends on")


class StreamMeta(BaseModel):
    """What `stream.yaml` says of a stream.

    In an `event` stream every record is a fact of its own. In an `entity` stream a record replaces
    the one before with the same key, and a null value (a tombstone) deletes it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str = Field(min_length=1, description="the team that answers for the stream")
    namespace: str = Field(min_length=1, description="the domain it belongs to: the namespace of its schemas")
    kind: Literal["event", "entity"]
    event_time: str | None = Field(default=None, description="the field of the value that says when the event happened")
    encoding: Literal["avro", "json"] = Field(
        default="avro",
        description="how records stand on a broker: with a registered schema, or as JSON that a foreign tool writes",
    )
    tags: Tags = Tags()
    consumers: tuple[str, ...] = Field(
        default=(), description="the teams that read it with tools of their own, beside the jobs of this suite"
    )
    partitions: int = Field(ge=1, description="how many partitions its topic has on a broker")
    retention: Duration | None = Field(default=None, ge=1, description="how long records are kept; for ever if absent")
    compaction: bool = Field(default=False, description="whether only the last record of each key need be kept")
    compatibility: Compatibility = Field(default="full_transitive", description="what a new version must keep")
    rules: dict[str, Declared] = Field(
        default_factory=dict, description="what records must keep beside their schema (rules.py)"
    )
    deprecated: str | None = Field(default=None, description="why it should no longer be used, and what to use instead")
    published: dict[str, str] = Field(
        default_factory=dict, description="the fingerprint of every schema file that is in use (compatibility.py)"
    )

    @property
    def tombstones(self) -> bool:
        """Whether a record's value may be null."""
        return self.kind == "entity"


@dataclass(frozen=True)
class Contract:
    """One version of what the records of a stream look like.

    Attributes:
        stream: The name of the stream.
        version: The version, from 1.
        key_schema: The Avro schema of keys, as JSON.
        value_schema: The Avro schema of values, as JSON; tombstones are not part of it.
        meta: Who answers for the stream, and how it is kept.
        tables: The content of the files that its rules name.
    """

    stream: str
    version: int
    key_schema: AvroSchema
    value_schema: AvroSchema
    meta: StreamMeta
    tables: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def arrow(self) -> pa.Schema:
        """Records in memory: the columns `key` and `value`; a null value is a tombstone."""
        value = arrow_field("value", self.value_schema)
        return pa.schema([arrow_field("key", self.key_schema), value.with_nullable(self.meta.tombstones)])

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """What records must keep beside their schema.

        Raises:
            AdstreamError: A rule is wrong.
        """
        return compiled(self.meta.rules, self.tables, self.arrow, self.stream)


def streams(root: Traversable = STREAMS) -> tuple[str, ...]:
    """The names of all streams, sorted.

    Args:
        root: The folder of the contracts.
    """
    return tuple(sorted(entry.name for entry in root.iterdir() if entry.joinpath("stream.yaml").is_file()))


@cache
def load(stream: str, version: int | None = None) -> Contract:
    """The contract of a stream of this suite.

    Args:
        stream: The name of the stream.
        version: Which version; the newest if None.

    Raises:
        AdstreamError: There is no such stream or version, or its files are not well formed.
    """
    return load_from(STREAMS, stream, version)


def load_from(root: Traversable, stream: str, version: int | None = None) -> Contract:
    """As `load`, out of another folder of contracts, read anew each time."""
    known = versions(stream, root)
    if version is not None and version not in known:
        raise AdstreamError(f"the stream '{stream}' has no version {version}", f"it has {', '.join(map(str, known))}")
    version = known[-1] if version is None else version
    folder = root.joinpath(stream)
    of_key = max(number for number in _numbers(folder, "key") if number <= version)
    meta = _meta(folder)
    contract = Contract(
        stream=stream,
        version=version,
        key_schema=_schema(folder, f"key.v{of_key}.avsc"),
        value_schema=_schema(folder, f"value.v{version}.avsc"),
        meta=meta,
        tables=dict(_tables(folder, meta)),
    )
    if version == known[-1] and meta.rules:
        compiled(meta.rules, contract.tables, contract.arrow, stream)  # so that a wrong one is found here
    return contract


def versions(stream: str, root: Traversable = STREAMS) -> tuple[int, ...]:
    """The versions of a stream, in order.

    Args:
        stream: The name of the stream.
        root: The folder of the contracts.

    Raises:
        AdstreamError: There is no such stream, or it lacks its first version.
    """
    pick("stream", stream, streams(root))
    folder = root.joinpath(stream)
    values = _numbers(folder, "value")
    if 1 not in values or 1 not in _numbers(folder, "key"):
        raise AdstreamError(
            f"the stream '{stream}' has no version 1", "keep every version: key.v1.avsc and value.v1.avsc"
        )
    return values


def schema_files(stream: str, root: Traversable = STREAMS) -> dict[str, AvroSchema]:
    """Every schema file of a stream, by its name without the suffix, such as `value.v1`."""
    folder = root.joinpath(stream)
    return {
        f"{part}.v{number}": _schema(folder, f"{part}.v{number}.avsc")
        for part in ("key", "value")
        for number in _numbers(folder, part)
    }


def _numbers(folder: Traversable, part: str) -> tuple[int, ...]:
    names = (_SCHEMA_FILE.fullmatch(entry.name) for entry in folder.iterdir())
    return tuple(sorted(int(name[2]) for name in names if name and name[1] == part))


def _schema(folder: Traversable, name: str) -> AvroSchema:
    try:
        schema: AvroSchema = json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise AdstreamError(f"{folder.name}/{name} is not JSON ({error})", "correct the file") from None
    return schema


def _tables(folder: Traversable, meta: StreamMeta) -> Iterator[tuple[str, bytes]]:
    for name, rule in meta.rules.items():
        if isinstance(rule, Listed):
            file = folder.joinpath(rule.listed)
            if not file.is_file():
                raise AdstreamError(
                    f"{folder.name}/stream.yaml: rule '{name}': there is no '{rule.listed}'",
                    "put it beside stream.yaml",
                )
            yield rule.listed, file.read_bytes()


def _meta(folder: Traversable) -> StreamMeta:
    try:
        return StreamMeta(**yaml.safe_load(folder.joinpath("stream.yaml").read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError) as error:
        raise AdstreamError(f"{folder.name}/stream.yaml is not a YAML mapping ({error})", "correct the file") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise AdstreamError(
            f"{folder.name}/stream.yaml: '{place}' is wrong ({first['msg']})", "correct the file"
        ) from None
