"""Where Delta tables lie: a folder, or a place in an object store that speaks S3.

    tables                                                        DIR/<stream>
    s3://bucket/tables?endpoint_override=HOST:PORT&scheme=http    s3://bucket/tables/<stream>

The URL is the one that a checkpoint's storage has (`common/storage.py`); what Delta's library must be told is made of it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.errors import AdstreamError, UnavailableError, is_full_disk
from common.s3 import ATTEMPTS, ATTEMPTS_SECONDS, CONNECT_SECONDS, OPTIONS, given, remedy, settings
from common.storage import below, is_remote, storage_at
from common.streams.delta import DELTA_LOG, delta_library

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CODE = re.compile(r"<Code>([^<]*)</Code>\s*(?:<Message>([^<]*)</Message>)?")
_STORE = ("S3 error", "Error performing", "169.254.169.254")
"""What stands in the text of a failure that came from the object store: it has no type of its own."""


@dataclass(frozen=True)
class TablePlace:
    """A place for tables, by name. It can be pickled: it holds nothing open.

    Attributes:
        place: A folder, or `s3://BUCKET/PATH`. Credentials come from the environment, as `AWS_ACCESS_KEY_ID` and
            `AWS_SECRET_ACCESS_KEY`.
    """

    place: str

    @property
    def is_remote(self) -> bool:
        """Whether it is an object store, which anybody may write to; a folder is one job's, by its lock."""
        return is_remote(self.place)

    def check(self) -> None:
        """Checks what the place is called.

        Raises:
            AdstreamError: It is a URL, but none of S3, has an option that says nothing here, or holds a password.
        """
        if not self.is_remote:
            return
        url = urlsplit(self.place)
        if "@" in url.netloc:
            raise AdstreamError(
                f"the URL of the tables in '{url.hostname}' holds credentials",
                "leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        unknown = [name for name in given(self.place) if name not in OPTIONS]
        if url.scheme != "s3" or not url.netloc or unknown:
            raise AdstreamError(
                f"'{self.place}' is no place for tables" + (f" (unknown option '{unknown[0]}')" if unknown else ""),
                "write s3://BUCKET/PATH?endpoint_override=HOST:PORT&scheme=http&region=NAME, or name a folder",
            )

    @property
    def options(self) -> dict[str, str]:
        """What Delta's library must be told of the place.

        Raises:
            AdstreamError: As `check`.
        """
        self.check()
        if not self.is_remote:
            return {}
        patience = {
            "max_retries": str(ATTEMPTS),
            "retry_timeout": f"{ATTEMPTS_SECONDS}s",
            "connect_timeout": f"{CONNECT_SECONDS}s",
        }
        return {**settings(self.place), **patience}

    def where(self, name: str) -> str:
        """The path or URL of a table, without the options of the place."""
        return below(self.place, name).partition("?")[0]

    def names(self) -> list[str]:
        """The names of what may be tables, sorted.

        Raises:
            AdstreamError: The place is not served, or it lets nobody in.
        """
        with self.told(f"tables at '{self.place}'"):
            if self.is_remote:
                # It fails at once, where a storage is waited for.
                delta_library().DeltaTable.is_deltatable(self.where("_"), storage_options=self.options)
        return [name for name in storage_at(self.place).folders() if not name.startswith("_")]

    def open(self, name: str) -> Any | None:
        """A table at its newest version; None if there is none.

        Raises:
            AdstreamError: The place is not served, or it lets nobody in.
        """
        delta = delta_library()
        if not self.is_remote and not Path(self.place, name, DELTA_LOG).is_dir():
            return None
        with self.told(f"table '{self.where(name)}'"):
            try:
                return delta.DeltaTable(self.where(name), storage_options=self.options)
            except delta.exceptions.TableNotFoundError:
                return None

    def create(self, name: str, schema: Any, **properties: Any) -> None:
        """Makes a table; `properties` as `deltalake.DeltaTable.create` takes them."""
        if not self.is_remote:
            Path(self.place, name).mkdir(parents=True, exist_ok=True)
        delta_library().DeltaTable.create(
            self.where(name), schema, storage_options=self.options, name=name, **properties
        )

    def holds_files(self, name: str) -> bool:
        """Whether there is any file where a table would be."""
        return bool(storage_at(self.place).files(name))

    def drop(self, name: str) -> None:
        """Removes a table, with all its versions."""
        if not self.is_remote:
            shutil.rmtree(Path(self.place, name), ignore_errors=True)
            return
        storage = storage_at(self.place)
        files = list(storage.files(name))
        log = [file for file in files if file.startswith(f"{name}/{DELTA_LOG}/")]
        # The newest version first and the log last: what a kill leaves can still be opened, and dropped.
        storage.delete([file for file in files if file not in set(log)])
        storage.delete(reversed(log))

    @contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Says in one line why a table can't be read or written, where that is known.

        Args:
            name: The table.

        Raises:
            AdstreamError: The disk is full, the object store is not served (`UNAVAILABLE`), or it refuses it.
        """
        try:
            yield
        except (OSError, delta_library().exceptions.DeltaError) as error:
            if is_full_disk(error):
                raise UnavailableError(
                    f"{name}: no space left on its disk",
                    "make room, and run it again: nothing is lost, it goes on with this step",
                ) from error
            if self.is_remote and is_of_store(error):
                raise _unserved(name, str(error)) from error
            raise


def is_of_store(error: Exception) -> bool:
    """Whether a failure of Delta's library is one of the object store below it."""
    return any(part in str(error) for part in _STORE)


def _unserved(name: str, text: str) -> AdstreamError:
    """A failure of an object store in one line."""
    text = _COLOURS.sub("", text)
    if "169.254.169.254" in text:
        return AdstreamError(
            f"{name}: there are no credentials for it", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    said = _CODE.search(text)
    code, message = (said[1], said[2] or "") if said else ("", _innermost(text))
    reason = ": ".join(part for part in (code, message.strip(" .")) if part)
    if then := remedy(text):
        return AdstreamError(f"{name} can't be reached ({reason})", then)
    return UnavailableError(
        f"{name} is not served ({reason})", "start it (adstream services up s3), or correct the URL"
    )


def _innermost(text: str) -> str:
    """The last cause of a failure that is told with all its causes."""
    parts = [part.strip(" \n|-") for part in re.split("↳|\n", text)]
    return next(reversed([part for part in parts if part]), "no reason given")
