"""Looking at tables, and keeping them in shape: small files are joined, old ones dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.errors import AdstreamError
from common.names import pick
from common.streams.delta import delta_library
from common.streams.json_text import json_lines
from common.tables.delta import STEP, again
from common.tables.layout import sql_name
from common.tables.place import TablePlace

_HOUR = 3_600_000


@dataclass(frozen=True)
class Version:
    """A version of a table.

    Attributes:
        number: Its number.
        written: When, in epoch ms.
        operation: What made it, as Delta calls it: `WRITE`, `MERGE`, `OPTIMIZE`.
        step: The step of the job that it holds; None for what no step made.
        change: What it did, in rows or files.
    """

    number: int
    written: int
    operation: str
    step: int | None
    change: Mapping[str, int]


def tables(place: TablePlace) -> dict[str, Any]:
    """The Delta tables of a place, by name, each at its newest version.

    Raises:
        AdstreamError: The place is not served, or it lets nobody in.
    """
    return dict(each(place))


def each(place: TablePlace) -> Iterator[tuple[str, Any]]:
    """As `tables`, one by one: each is opened in its turn, as a job may write to it until then."""
    for name in place.names():
        opened = place.open(name)
        if opened is not None:
            yield name, opened


def table(place: TablePlace, name: str) -> Any:
    """One of the tables of a place.

    Raises:
        AdstreamError: There is no such table.
    """
    opened = place.open(name)
    if opened is not None:
        return opened
    found = tables(place)
    if not found:
        raise no_tables(place)
    return found[pick("table", name, found)]


def no_tables(place: TablePlace) -> AdstreamError:
    """The error of a place that was asked for tables, and has none."""
    return AdstreamError(
        f"output '{place.place}' holds no tables", "give the --output of a job that keeps tables, or its --sink"
    )


def at_version(opened: Any, version: int | None, moment: str) -> Any:
    """A table as it was.

    Args:
        opened: The table.
        version: The number of a version; None for the newest, or that of the moment.
        moment: A time such as `2026-01-31T12:00:00Z`; empty for none.

    Raises:
        AdstreamError: There is no such version, its files are gone, the time is none, or both are given.
    """
    if version is not None and moment:
        raise AdstreamError(f"version {version} and time {moment} are two answers", "give one of --version and --at")
    if version is None and not moment:
        return opened
    name, newest = opened.metadata().name, opened.version()
    wanted = _moment(moment) if version is None else version
    if isinstance(wanted, datetime) and wanted.timestamp() * 1_000 < min(entry.written for entry in history(opened)):
        raise AdstreamError(f"table '{name}' was not there yet at {moment}", "see 'adstream tables history'")
    try:
        opened.load_as_version(wanted)
    except (delta_library().exceptions.DeltaError, OSError, OverflowError) as error:
        raise AdstreamError(
            f"table '{name}' has no version {moment if version is None else version}",
            f"see 'adstream tables history'; the newest is {newest}",
        ) from error
    return opened


def content(place: TablePlace, name: str) -> pa.Table:
    """All rows of a table, sorted by their JSON text, so that tables with equal rows are equal; none if it is not there."""
    opened = place.open(name)
    if opened is None:
        return pa.table({})
    every = whole(opened)
    lines = [json_lines(pa.Table.from_batches([batch])) for batch in every.to_batches()]
    return every.take(pc.sort_indices(pa.chunked_array(lines, pa.string())))


def rows(opened: Any, limit: int) -> pa.Table:
    """The first rows of a table; a table has no order."""
    return _answer(delta_library().QueryBuilder().register("t", opened), f"SELECT * FROM t LIMIT {limit}")


def whole(opened: Any) -> pa.Table:
    """All rows of a table. A query reads them, as an older Arrow can't fill in a field that is new inside a list."""
    return _answer(delta_library().QueryBuilder().register("t", opened), "SELECT * FROM t")


def query(place: TablePlace, sql: str) -> pa.Table:
    """What a query gives over the tables of a place; `-` in the name of a table is `_` there.

    Raises:
        AdstreamError: The query is refused.
    """
    delta = delta_library()
    builder = delta.QueryBuilder()
    for name, opened in tables(place).items():
        builder.register(sql_name(name), opened)
    try:
        return _answer(builder, sql)
    except delta.exceptions.DeltaError as error:
        said = " ".join(str(error).split())
        raise AdstreamError(f"the query is refused ({said})", "names with capitals stand in double quotes") from error


def _answer(builder: Any, sql: str) -> pa.Table:
    found = builder.execute(sql)
    return pa.table(found, schema=pa.schema([_without_views(field) for field in pa.schema(found.schema)]))


def _without_views(field: pa.Field) -> pa.Field:
    """A field in types that every Arrow computes with: a query answers in views of texts, which many functions refuse."""
    kind = field.type
    if pa.types.is_struct(kind):
        kind = pa.struct([_without_views(kind.field(i)) for i in range(kind.num_fields)])
    elif pa.types.is_list(kind):
        kind = pa.list_(_without_views(kind.value_field))
    elif pa.types.is_map(kind):
        kind = pa.map_(_without_views(kind.key_field), _without_views(kind.item_field))
    elif kind in _VIEWS:
        kind = _VIEWS[kind]
    return field.with_type(kind)


_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def history(opened: Any) -> Iterator[Version]:
    """The versions of a table, the newest first."""
    for entry in opened.history():
        told = entry.get("operationMetrics", {})
        change = {name: int(told[key]) for name, key in _CHANGES.items() if int(told.get(key) or 0)}
        step = entry.get(STEP)
        yield Version(
            entry["version"], entry["timestamp"], entry["operation"], None if step is None else int(step), change
        )


_CHANGES = {
    "rows added": "num_added_rows",
    "rows inserted": "num_target_rows_inserted",
    "rows updated": "num_target_rows_updated",
    "rows deleted": "num_target_rows_deleted",
    "files added": "numFilesAdded",
    "files removed": "numFilesRemoved",
    "files deleted": "numDeletedFiles",
}
"""What of a version's metrics is shown."""


def compact(opened: Any, size: int) -> tuple[int, int]:
    """Joins small files into larger ones, in a version that holds the same rows; gives files before and after.

    Args:
        opened: The table.
        size: About how large a file shall be, in bytes.

    Raises:
        AdstreamError: It is a stream, or a job wrote to it each time that this was tried (`UNAVAILABLE`).
    """
    _check_no_stream(opened)
    before = len(opened.file_uris())

    def attempt() -> None:
        opened.update_incremental()
        opened.optimize.compact(target_size=size)

    again(attempt, f"table '{opened.metadata().name}'")
    return before, len(opened.file_uris())


def _check_no_stream(opened: Any) -> None:
    """Refuses what a job wrote with `--format delta`; a table that a job landed has a name."""
    if opened.metadata().name is None and pa.schema(opened.schema().to_arrow()).names == ["key", "value"]:
        raise AdstreamError(
            f"table '{Path(opened.table_uri).name}' is a stream, and its files tell the order of its steps",
            "leave it as it is, or keep the stream as a table with the job 'land', which can be compacted",
        )


def vacuum(opened: Any, older_than: int, *, dry_run: bool) -> list[str]:
    """Drops files that no version younger than some age needs: older versions can then not be read any more.

    Files that a job left when it was killed go, too.

    Args:
        opened: The table.
        older_than: The age, in ms; a part of an hour counts as a whole one, so that nothing younger goes.
        dry_run: Whether they are only told.

    Returns:
        The names of the files.
    """
    hours = -(-older_than // _HOUR)
    gone: list[str] = opened.vacuum(retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False, full=True)
    return gone


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise AdstreamError(f"'{text}' is not a time", "write it as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise AdstreamError(f"'{text}' has no zone", f"write it as {text}Z")
    return moment
