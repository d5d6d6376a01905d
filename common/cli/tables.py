"""`adstream tables`: the tables that streams were landed in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pyarrow as pa
from cyclopts import App, Parameter
from rich.table import Table

from common.cli.console import out
from common.cli.options import duration
from common.errors import AdstreamError
from common.tables import care
from common.tables.place import TablePlace

Output = Annotated[
    str,
    Parameter(help="Where the tables are: the --output of the job that keeps them, or its --sink, s3://BUCKET/PATH."),
]
Name = Annotated[str, Parameter(help="The name of a table, such as ad-sessions.")]
Names = Annotated[str, Parameter(help="Their names; all if absent.", show_default=False)]

app = App(name="tables", help="The Delta tables that streams were landed in.")


@app.command
def show(
    name: Name,
    /,
    *,
    output: Output,
    version: Annotated[int | None, Parameter(help="As it was in this version.", show_default=False)] = None,
    at: Annotated[
        str, Parameter(help="As it was at this time, such as 2026-01-31T12:00:00Z.", show_default=False)
    ] = "",
    rows: Annotated[int, Parameter(help="How many of its rows are shown.")] = 10,
) -> None:
    """Show some rows of a table, now or as it was.

    Its versions are those of 'adstream tables history'.

        adstream tables show advertisements --output tables
        adstream tables show advertisements --output tables --version 3 --rows 50
        adstream tables show advertisements --output 's3://lake/ads?region=eu-central-1'
    """
    if rows < 0:
        raise AdstreamError(f"--rows is {rows}", "give 0 or more")
    with _opened(output, name) as found:
        opened = care.at_version(found, version, at)
        _show(care.rows(opened, rows))
        out.print(f"{opened.count():,} rows in version {opened.version()}")


@app.command
def query(sql: Annotated[str, Parameter(help="The query.")], /, *, output: Output) -> None:
    """Show what a query gives; '-' in the name of a table is '_' there, and names with capitals stand in quotes.

    adstream tables query 'SELECT type, sum("sum") AS sold FROM ad_engagements GROUP BY type' --output tables
    """
    _show(care.query(TablePlace(output), sql))


@app.command
def history(name: Name, /, *, output: Output) -> None:
    """Show the versions of a table, the newest first: when, by what step of the job, and what changed.

    adstream tables history advertisements --output tables
    """
    table = Table("version", "time", "operation", "step", "change", box=None)
    with _opened(output, name) as opened:
        versions = list(care.history(opened))
    for found in versions:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.written / 1000))
        change = ", ".join(f"{count:,} {what}" for what, count in found.change.items())
        step = "" if found.step is None else str(found.step)
        table.add_row(str(found.number), moment, found.operation, step, change)
    out.print(table)


@app.command
def compact(
    *names: Names,
    output: Output,
    size: Annotated[int, Parameter(help="About how large a file shall be, in MiB.")] = 128,
) -> None:
    """Join the small files of tables into larger ones; the job may be running.

    adstream tables compact --output tables
    """
    if size < 1:
        raise AdstreamError(f"--size is {size}", "give 1 or more MiB")
    table = Table("table", "files before", "after", box=None)
    place = TablePlace(output)
    for name, opened in _chosen(place, names):
        with place.told(f"table '{place.where(name)}'"):
            table.add_row(name, *(f"{count:,}" for count in care.compact(opened, size * 2**20)))
    out.print(table)


@app.command
def vacuum(
    *names: Names,
    output: Output,
    older_than: Annotated[
        str, Parameter(help="Versions that are no longer the newest for so long can't be read any more.")
    ] = "7d",
    dry_run: Annotated[bool, Parameter(negative="", help="Only tell how many files would go.")] = False,
) -> None:
    """Drop files of old versions, and what a killed job left.

    A part of an hour counts as a whole one. While a job runs, keep at least an hour.

        adstream tables vacuum --output tables --dry-run
        adstream tables vacuum ad-sessions --output tables --older-than 30d
    """
    age = duration("--older-than", older_than)
    table = Table("table", "files that would go" if dry_run else "files dropped", box=None)
    place = TablePlace(output)
    for name, opened in _chosen(place, names):
        with place.told(f"table '{place.where(name)}'"):
            table.add_row(name, f"{len(care.vacuum(opened, age, dry_run=dry_run)):,}")
    out.print(table)


def _chosen(place: TablePlace, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The tables that were named, or all there are, as `care.each` opens them."""
    if names:
        yield from ((name, care.table(place, name)) for name in names)
        return
    found = care.each(place)
    first = next(found, None)
    if first is None:
        raise care.no_tables(place)
    yield first
    yield from found


@contextmanager
def _opened(output: str, name: str) -> Iterator[Any]:
    """A table, while something is done with it."""
    place = TablePlace(output)
    opened = care.table(place, name)
    with place.told(f"table '{place.where(name)}'"):
        yield opened


def _show(rows: pa.Table) -> None:
    table = Table(*rows.column_names, box=None)
    for row in rows.to_pylist():
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)
