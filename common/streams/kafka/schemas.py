"""Schemas and their ids from the registry, kept on disk beside a job's checkpoint.

What a registry has said of an id never changes, so a job that knows its schemas goes on while the registry
is down, and so does one that is started again. The registry is asked first nevertheless: what is kept only
speaks while it does not answer.

    <kept>/<registry>/ids/<id>.json              a schema
    <kept>/<registry>/subjects/<subject>.json    the ids and schemas of a subject's versions
    <kept>/<registry>/written/<subject>.json     the id of the contract's schema, and that schema
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from common.contracts.contract import load
from common.errors import AdstreamError, UnavailableError
from common.files import staged
from common.retry import retry
from common.streams.avro_schema import AvroSchema
from common.streams.kafka.registry import NOT_FOUND, RefusedError, ask

PARTS = ("key", "value")

log = logging.getLogger("adstream")


class UnknownSchemaError(Exception):
    """The registry has no schema of this id: whatever wrote it, it was not a producer of this registry."""


@dataclass(frozen=True)
class Schemas:
    """The schemas of a registry. It can be pickled.

    Attributes:
        registry: The URL of the registry.
        kept: The folder in which they are kept; empty for nowhere.
        patience: For how many seconds a registry that does not answer is asked for what is not kept.
    """

    registry: str
    kept: str = ""
    patience: float = 0.0

    def by_id(self, number: int) -> AvroSchema:
        """A writer's schema; asked for once a process.

        Args:
            number: The id in the record.

        Raises:
            UnknownSchemaError: There is no such schema.
            AdstreamError: The registry is not reached (`UNAVAILABLE`), and the schema is not kept.
        """
        return _by_id(self, number)

    def id_of(self, stream: str, part: str) -> int:
        """The id under which the schema of a stream's newest contract is registered; asked for once a process.

        Args:
            stream: The name of the stream.
            part: `key` or `value`.

        Raises:
            AdstreamError: It is not registered, or the registry is not reached (`UNAVAILABLE`) and it is not kept.
        """
        return _id_of(self, stream, part)

    def fetch(self, read: Iterable[str], written: Iterable[str]) -> None:
        """Keeps all that a job will need: it can then be run while the registry is down.

        Args:
            read: The streams that it reads: every schema that their records may have.
            written: The streams that it writes: the schemas of their newest contracts.

        Raises:
            AdstreamError: A schema is not registered, or the registry is not reached (`UNAVAILABLE`) and they are
                not kept.
        """
        for subject in (f"{stream}-{part}" for stream in read for part in PARTS):
            for version in self._given(f"subjects/{subject}.json", partial(self._versions, subject)):
                self._keep(f"ids/{version['id']}.json", json.loads(version["schema"]))
        for stream in written:
            for part in PARTS:
                self.id_of(stream, part)

    def _versions(self, subject: str) -> list[dict[str, Any]]:
        """A subject's versions as the registry has them; none where it does not have the subject."""
        path = f"/subjects/{subject}/versions"
        try:
            return [ask(self.registry, f"{path}/{number}") for number in ask(self.registry, path)]
        except RefusedError as error:
            if error.code == NOT_FOUND:
                return []
            raise _denied(self.registry, f"subject '{subject}'", error) from error

    def _given(self, name: str, asked: Callable[[], Any]) -> Any:
        """What the registry answers; what it answered before while it is down."""

        def attempt() -> Any:
            try:
                answer = asked()
            except UnavailableError as error:
                if not self._path(name).exists():
                    raise
                _tell_once(f"{error.problem}; going on with the schemas in {self.kept}")
                return json.loads(self._path(name).read_text())
            self._keep(name, answer)
            return answer

        return retry(attempt, self.patience, log.warning)

    def _keep(self, name: str, answer: Any) -> None:
        path = self._path(name)
        if not self.kept or (path.exists() and json.loads(path.read_text()) == answer):
            return
        with suppress(OSError), staged(path) as place:  # where a task runs, the checkpoint may not be: nothing is kept
            place.write_text(json.dumps(answer))

    def _path(self, name: str) -> Path:
        return Path(self.kept or os.devnull, quote(self.registry, safe=""), name)


@cache
def _by_id(schemas: Schemas, number: int) -> AvroSchema:
    def asked() -> AvroSchema:
        return json.loads(ask(schemas.registry, f"/schemas/ids/{number}")["schema"])

    try:
        return schemas._given(f"ids/{number}.json", asked)  # noqa: SLF001 a method can't be cached by value
    except RefusedError as error:
        if error.code == NOT_FOUND:
            raise UnknownSchemaError(f"schema {number} is not in the registry") from error
        raise _denied(schemas.registry, f"schema {number}", error) from error


@cache
def _id_of(schemas: Schemas, stream: str, part: str) -> int:
    contract = load(stream)
    schema = contract.key_schema if part == "key" else contract.value_schema

    def asked() -> dict[str, Any]:
        found = ask(schemas.registry, f"/subjects/{stream}-{part}", {"schema": json.dumps(schema)})
        return {"id": int(found["id"]), "schema": schema}

    where = f"the {part} schema of '{stream}' (version {contract.version})"
    try:
        given = schemas._given(f"written/{stream}-{part}.json", asked)  # noqa: SLF001
    except RefusedError as error:
        if error.code == NOT_FOUND:
            raise AdstreamError(f"{where} is not in the registry", f"adstream streams create {stream}") from error
        raise _denied(schemas.registry, where, error) from error
    if given["schema"] != schema:
        raise UnavailableError(
            f"{where} is new, and the schema registry at {schemas.registry} does not answer",
            "start it: its id is not known yet",
        )
    return int(given["id"])


@cache
def _tell_once(line: str) -> None:
    log.warning(line)


def _denied(registry: str, what: str, error: RefusedError) -> AdstreamError:
    return AdstreamError(f"{what}: the schema registry at {registry} refuses it ({error})", "see its log")
