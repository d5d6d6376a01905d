"""Schemas by id, from the registry; asked once a process, so that a registry that is down later does no harm."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from functools import cache
from typing import Any

from common.contracts.contract import load
from common.errors import AdstreamError, ExitCode
from common.streams.avro_schema import AvroSchema

TIMEOUT_SECONDS = 10


class UnknownSchemaError(Exception):
    """The registry has no schema of this id: whatever wrote it, it was not a producer of this registry."""


@cache
def schema_by_id(registry: str, number: int) -> AvroSchema:
    """A writer's schema.

    Args:
        registry: The URL of the registry.
        number: The id in the record.

    Raises:
        UnknownSchemaError: There is no such schema.
        AdstreamError: The registry is not reached (`UNAVAILABLE`).
    """
    try:
        answer = ask(f"{registry}/schemas/ids/{number}")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise UnknownSchemaError(f"schema {number} is not in the registry") from error
        raise unavailable(registry, error) from error
    except OSError as error:
        raise unavailable(registry, error) from error
    return json.loads(answer["schema"])


@cache
def id_of(registry: str, stream: str, part: str) -> int:
    """The id under which the schema of a stream's newest contract is registered.

    Args:
        registry: The URL of the registry.
        stream: The name of the stream.
        part: `key` or `value`.

    Raises:
        AdstreamError: It is not registered, or the registry is not reached (`UNAVAILABLE`).
    """
    contract = load(stream)
    schema = contract.key_schema if part == "key" else contract.value_schema
    try:
        return int(ask(f"{registry}/subjects/{stream}-{part}", {"schema": json.dumps(schema)})["id"])
    except urllib.error.HTTPError as error:
        raise AdstreamError(
            f"the {part} schema of '{stream}' (version {contract.version}) is not in the registry",
            f"adstream streams create {stream}",
        ) from error
    except OSError as error:
        raise unavailable(registry, error) from error


def ask(url: str, body: Any = None, method: str | None = None) -> Any:
    """What the registry answers (Confluent's Schema Registry API).

    Args:
        url: What is asked.
        body: What is sent, as JSON.
        method: The HTTP method; GET without a body and POST with one if None.

    Raises:
        OSError: It does not answer, or (`HTTPError`) refuses.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 from the address
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
        return json.load(response)


def unavailable(registry: str, error: Exception) -> AdstreamError:
    """The failure of a registry that is not reached."""
    return AdstreamError(
        f"the schema registry at {registry} does not answer ({error})",
        "start it (adstream services up registry), or correct the address",
        ExitCode.UNAVAILABLE,
    )
