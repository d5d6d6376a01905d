"""Confluent's wire format: a zero byte, the schema's id in four bytes, then the Avro datum.

Several versions of a schema may stand in one topic: each datum is resolved from its writer's schema to the
contract, whose defaults fill what the writer did not know. Streams that a foreign tool writes stand there as JSON.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fastavro
import orjson

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.streams.avro_schema import AvroSchema, incompatibility, raw, resolving
from common.streams.kafka.schemas import Schemas, UnknownSchemaError

MAGIC = 0
_HEADER = struct.Struct(">bI")


class UndecodableError(Exception):
    """Bytes that are not a datum of the contract; its text is the reason."""


def json_line(key: bytes | None, value: bytes | None) -> bytes:
    """A record that stands on the broker as JSON, as a line `{"key": …, "value": …}`.

    Raises:
        UndecodableError: Key or value is not JSON.
    """
    for name, datum in (("key", key), ("value", value)):
        try:
            orjson.loads(datum or b"null")
        except orjson.JSONDecodeError as error:
            raise UndecodableError(f"{name} is not JSON: {error}") from error
    # Outside of strings a line feed is blank space, and inside it can't stand.
    texts = [(datum or b"null").replace(b"\n", b" ") for datum in (key, value)]
    return b'{"key":' + texts[0] + b',"value":' + texts[1] + b"}\n"


@dataclass(frozen=True)
class Part:
    """The keys or the values of a stream.

    Attributes:
        schemas: The schemas of the registry.
        contract: The contract of the stream.
        name: `key` or `value`.
    """

    schemas: Schemas
    contract: Contract
    name: str

    @cached_property
    def _schema(self) -> AvroSchema:
        return raw(self.contract.key_schema if self.name == "key" else self.contract.value_schema)

    @cached_property
    def _resolved(self) -> dict[int, tuple[Any, Any] | str]:
        return {}

    def decode(self, datum: bytes | None) -> Any:
        """A datum, with timestamps as epoch ms; None for a tombstone.

        Raises:
            UndecodableError: It is not in the wire format, its schema is not known or not compatible, or it is cut off.
            AdstreamError: The registry is not reached (`UNAVAILABLE`).
        """
        if datum is None:
            return None
        if len(datum) < _HEADER.size or datum[0] != MAGIC:
            raise UndecodableError(f"{self.name} is not in Confluent's wire format")
        number = _HEADER.unpack_from(datum)[1]
        resolved = self._resolve(number)
        if isinstance(resolved, str):
            raise UndecodableError(resolved)
        writer, reader = resolved
        content = io.BytesIO(datum)
        content.seek(_HEADER.size)
        try:
            value: Any = fastavro.schemaless_reader(content, writer, reader)
        except Exception as error:  # fastavro raises whatever the bytes make it stumble over
            raise UndecodableError(f"{self.name} can't be decoded with schema {number} ({error})") from error
        if content.tell() != len(datum):
            raise UndecodableError(f"{self.name} has {len(datum) - content.tell()} bytes behind its end")
        return value

    def _resolve(self, number: int) -> tuple[Any, Any] | str:
        """The parsed schema of a writer, and what it is resolved to, None where that is the same; or why it can't be.

        It is found out once, also why not: a flood of bad records does not become one of requests.
        """
        if number not in self._resolved:
            self._resolved[number] = self._found(number)
        return self._resolved[number]

    def _found(self, number: int) -> tuple[Any, Any] | str:
        try:
            writer = raw(self.schemas.by_id(number))
        except UnknownSchemaError as error:
            return f"{self.name}: {error}"
        reader = resolving(self._schema, writer)
        why = incompatibility(reader, writer)
        if why is not None:
            return f"{self.name}: schema {number} is not compatible with the contract ({why})"
        same = writer == self._schema
        return fastavro.parse_schema(writer), None if same else fastavro.parse_schema(reader)

    def encode(self, values: Iterable[Any]) -> Iterator[bytes | None]:
        """Values as data of the contract's registered schema; None stays None, a tombstone.

        Raises:
            AdstreamError: The contract is not registered, or a value breaks it.
        """
        header = _HEADER.pack(MAGIC, self.schemas.id_of(self.contract.stream, self.name))
        schema = fastavro.parse_schema(self._schema)
        for value in values:
            if value is None:
                yield None
                continue
            content = io.BytesIO()
            content.write(header)
            try:
                fastavro.schemaless_writer(content, schema, value)
            except (TypeError, ValueError) as error:
                raise AdstreamError(
                    f"stream '{self.contract.stream}': {self.name} {value!r} breaks the contract ({error})"
                ) from error
            yield content.getvalue()
