"""PostgreSQL, asked for Arrow tables (the ADBC driver): whole batches, never a Python object a value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from urllib.parse import urlsplit

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from typing_extensions import Self

from common.errors import AdstreamError, UnavailableError

_CONNECTION = ("08", "57P")
"""SQLSTATE classes of a connection that failed, and of a server that goes down or comes up."""
_REMEDIES = {
    "42703": "correct the configuration, or put the column back",
    "42P01": "correct the configuration, or create it",
    "42501": "grant it",
    "28P01": "correct the password in the address",
    "28000": "correct the user in the address",
    "3D000": "correct the address",
    "53100": "make room on its disk, and run it again: it goes on where it stopped",
}
"""What to do, by SQLSTATE (PostgreSQL, "Error Codes")."""


class Database:
    """A connection to PostgreSQL; each statement is a transaction of its own, unless `transaction` says otherwise.

    Args:
        url: `postgresql://USER@HOST:PORT/DATABASE`.
        read_only: Whether it shall refuse to change anything.

    Raises:
        AdstreamError: It is not reached (`UNAVAILABLE`), refuses the login, or is no address.
    """

    def __init__(self, url: str, *, read_only: bool) -> None:
        parts = urlsplit(url)
        if not parts.scheme.startswith("postgres"):
            raise AdstreamError(f"'{parts.scheme}' is not a database that can be read", "postgresql://USER@HOST/NAME")
        try:
            port = parts.port or 5432
        except ValueError:  # nothing of the address is shown, as this may be a part of the password
            raise AdstreamError(
                "the port in the database's address is not a number",
                "name one host, and write what is special in user and password as %23 is for #",
            ) from None
        self.url = url
        self.where = f"{parts.hostname or 'localhost'}:{port}{parts.path}"
        with self._told_plainly():
            self._connection = dbapi.connect(url, autocommit=True)
        self.run("SET application_name = 'adstream'")
        self.run("SET standard_conforming_strings = on")
        if read_only:
            self.run("SET default_transaction_read_only = on")

    def rows(self, query: str) -> pa.Table:
        """The rows of a query.

        Raises:
            AdstreamError: The database refuses it, or is gone (`UNAVAILABLE`).
        """
        with self._told_plainly(), self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def run(self, statement: str) -> None:
        """Runs a statement that gives no rows.

        Raises:
            AdstreamError: As `rows`.
        """
        with self._told_plainly(), self._connection.cursor() as cursor:
            cursor.execute(statement)

    def bring(self, table: str, rows: pa.RecordBatchReader) -> int:
        """Makes a table of this session's own, which ends with it, and fills it; gives how many rows it got.

        Args:
            table: Its name.
            rows: Its rows, in types that PostgreSQL has: no structs.

        Raises:
            AdstreamError: As `rows`.
        """
        with self._told_plainly(), self._connection.cursor() as cursor:
            return int(cursor.adbc_ingest(table, rows, mode="create", temporary=True))

    @contextmanager
    def transaction(self, isolation: str = "REPEATABLE READ") -> Iterator[None]:
        """A context whose statements are one transaction, over one snapshot unless another isolation is asked for."""
        self.run(f"BEGIN ISOLATION LEVEL {isolation}")
        try:
            yield
        except BaseException:
            with suppress(AdstreamError):
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(adbc_driver_manager.Error):
            self.close()

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            yield
        except adbc_driver_manager.Error as error:
            raise _plain(error, self.where) from error


def _plain(error: adbc_driver_manager.Error, where: str) -> AdstreamError:
    said = _said(error)
    code = error.sqlstate or _code_in(str(error))
    if code and not code.startswith(_CONNECTION):
        return AdstreamError(f"database at {where}: {said}", _REMEDIES.get(code, "see its log"))
    return UnavailableError(f"database at {where}: {said}", "is it up? run it again: it goes on where it stopped")


def _said(error: adbc_driver_manager.Error) -> str:
    """The database's own sentence."""
    for name, value in error.details or ():
        if _text(name) == "PG_DIAG_MESSAGE_PRIMARY":
            return _text(value)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _code_in(message: str) -> str:
    """A login that fails has its reason in the text only."""
    if "password authentication failed" in message:
        return "28P01"
    return "3D000" if 'database "' in message and "does not exist" in message else ""
