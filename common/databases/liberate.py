"""Query-based liberation: rows of a table into a stream, page by page, a few pages side by side in each step of a sink.

    <progress>   the progress after the last step, replaced atomically

Pages are planned before they are sent: where they end is saved first. A run that is killed so sends the same step
again; a broker that has it skips it, a folder replaces it. Rows that have left a page meanwhile were changed,
and come with a later window.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.contracts.contract import Contract, load
from common.databases import sql
from common.databases.ahead import Held, in_folder
from common.databases.liberation import All, Liberation, check
from common.databases.pages import Freed, Page
from common.databases.postgres import Database
from common.databases.progress import Column, Edge, Progress, Row, Snapshot, Window
from common.databases.rows import Rows
from common.engines.tasks import SideBySide
from common.errors import AdstreamError, reason_of
from common.files import staged
from common.streams.decoded import DEAD_LETTERS
from common.streams.sink import Sink
from common.streams.staging import step_name

log = logging.getLogger("adstream")


def contracts_of(stream: str) -> dict[str, Contract]:
    """The contracts of what a liberation writes."""
    return {name: load(name) for name in (stream, DEAD_LETTERS)}


class Liberator:
    """Frees a table, or a query, into a stream. One at a time may run on a progress; the caller holds a lock.

    Args:
        stream: The stream.
        liberation: What is freed into it.
        sink: Where it goes.
        progress: The file of the progress.
        tasks: What reads and stages pages.
        width: How many pages a step takes, side by side.

    Raises:
        AdstreamError: What is freed does not make records of the stream's contract.
    """

    def __init__(
        self, stream: str, liberation: Liberation, sink: Sink, progress: Path, tasks: SideBySide, width: int
    ) -> None:
        contract = load(stream)
        check(liberation, contract)
        self._liberation = liberation
        self._rows = Rows(liberation, contract)
        self._sink = sink
        self._path = progress
        self._column = _column_of(liberation)
        self._tasks = tasks
        self._width = width

    def resume(self, *, again: bool) -> Progress:
        """Where the last run stopped; the sink is put back to what it was then.

        Args:
            again: Whether all rows shall be freed anew.

        Raises:
            AdstreamError: The progress can't be read, is of something else, or the sink is ahead of it.
        """
        progress = load_progress(self._path)
        self._check_stream(progress)
        held = in_folder(self._sink)
        if again:
            progress = progress.anew(max(held.step, self._sink.delivered()) + 1)
            save_progress(self._path, progress)
        self._check_section(progress)
        self._check_steps(progress, held)
        self._sink.recover(step_name(progress.step))
        self._check_steps(progress, Held("the sink", self._sink.delivered()))
        return progress

    def run(self, database: Database, progress: Progress) -> tuple[Progress, Freed]:
        """Sends what there is: the rest of a window that was left open, else the next one.

        Args:
            database: The database.
            progress: As `resume` or the last call gave it.

        Raises:
            AdstreamError: The database is gone (`UNAVAILABLE`) or not what it was, or the sink fails.
        """
        schema = database.rows(sql.columns(self._liberation)).schema
        self._rows.check(schema)
        snapshot = snapshot_of(database)
        if progress.window is not None:
            progress.check(snapshot, self._column)
        else:
            repeats = self._rows.contract.meta.tombstones
            progress = progress.opened(snapshot, self._column, repeats=repeats)
            what, section = self._liberation.what, self._liberation.section
            progress = replace(progress, what=what, stream=self._rows.contract.stream, section=section)
            save_progress(self._path, progress)
        freed = Freed()
        while True:
            progress = progress.planned(partial(self._ends, database, progress, schema), self._width)
            if not progress.sending and progress.after is not None:
                break
            progress, sent = self._send(database.url, progress, schema)
            freed = freed.plus(sent)
        progress = progress.closed(self._column, by_transaction=bool(self._liberation.writer))
        save_progress(self._path, progress)
        return progress, freed

    def _check_stream(self, progress: Progress) -> None:
        stream = self._rows.contract.stream
        if progress.stream not in {"", stream}:
            raise AdstreamError(
                f"'{self._path}' is the progress of stream '{progress.stream}', not of '{stream}'",
                "give each stream an --output of its own",
            )

    def _check_section(self, progress: Progress) -> None:
        """Refuses a progress of other rows, or of other records of them."""
        what, remedy = self._liberation.what, "put the configuration back, or add --again to free all rows anew"
        if progress.what not in {"", what}:
            raise AdstreamError(f"'{self._path}' is the progress of {progress.what}, not of {what}", remedy)
        if progress.section not in {"", self._liberation.section}:
            raise AdstreamError(f"'{self._path}' is the progress of {what}, and its section has changed", remedy)

    def _check_steps(self, progress: Progress, held: Held) -> None:
        """Refuses a sink that has steps which the progress does not know."""
        if held.step > progress.step or (held.step == progress.step and not progress.sending):
            raise AdstreamError(
                f"{held.where} has steps up to {held.step} of this stream, but '{self._path}' is at {progress.step}",
                "put the progress back, or add --again to free all rows anew, behind them",
            )

    def _ends(self, database: Database, progress: Progress, schema: pa.Schema) -> list[Row]:
        """Where the next pages end. The first holds the rows without a key, and mostly there are none."""
        assert progress.window is not None
        if progress.after is None:
            missing = database.rows(sql.without_order(self._liberation, progress.window, schema))
            return [()] * missing.num_rows
        return self._rows.places(database.rows(sql.ends(self._liberation, progress.window, progress.after, schema)))

    def _send(self, url: str, progress: Progress, schema: pa.Schema) -> tuple[Progress, Freed]:
        """Sends the planned pages as one step; none where no row is without a key."""
        if not progress.sending:
            return replace(progress, after=()), Freed()
        save_progress(self._path, progress)
        staged = self._tasks(self._pages(url, progress, schema))
        self._sink.deliver(step_name(progress.step), [part for page in staged for part in page.parts])
        sent = reduce(Freed.plus, (page.freed for page in staged), Freed(steps=1))
        log.info("step %d: %d records, %d dead letters", progress.step, sent.records, sent.dead_letters)
        greatest = (page.greatest for page in staged if page.greatest is not None)
        progress = progress.sent(max(greatest, default=None))
        save_progress(self._path, progress)
        return progress, sent

    def _pages(self, url: str, progress: Progress, schema: pa.Schema) -> list[Page]:
        assert progress.window is not None
        stream, freed, step = self._rows.contract.stream, self._liberation, step_name(progress.step)
        queries = (sql.page(freed, progress.window, bounds, schema) for bounds in progress.pages)
        return [Page(url, query, stream, freed, self._sink, step, f"p{n}") for n, query in enumerate(queries)]


def snapshot_of(database: Database) -> Snapshot:
    """What a database says of itself now."""
    (row,) = database.rows(sql.SNAPSHOT).to_pylist()
    return Snapshot(**row)


def load_progress(path: Path) -> Progress:
    """The progress in a file; the one before the first run if there is none.

    Raises:
        AdstreamError: The file is not a progress.
    """
    if not path.exists():
        return Progress()
    try:
        return _progress(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdstreamError(
            f"'{path}' is not the progress of a liberation ({reason_of(error)})",
            "restore it, or delete it and add --again",
        ) from error


def save_progress(path: Path, progress: Progress) -> None:
    """Replaces the progress in a file, atomically."""
    with staged(path) as place, place.open("w") as file:
        json.dump(asdict(progress), file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _progress(content: Mapping[str, Any]) -> Progress:
    window, waiting, after, ends = (content[name] for name in ("window", "waiting", "after", "ends"))
    return replace(
        Progress(**content),
        window=None if window is None else Window(**window),
        waiting=None if waiting is None else Edge(**waiting),
        after=None if after is None else tuple(after),
        ends=tuple(map(tuple, ends)),
    )


def _column_of(liberation: Liberation) -> Column | None:
    read = liberation.read
    if isinstance(read, All):
        return None
    return Column(timed=read.by == "time", lag=read.lag * 1000 if read.by == "time" else read.lag)
