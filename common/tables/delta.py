"""Tables in the Delta format: each step is one transaction a table, which also says that the step is in it.

Rows are added, or merged by their key. A transaction carries the number of its step, so a step that is taken again
after a crash is found in the tables that have it, and skipped there.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.contracts.contract import Contract
from common.errors import AdstreamError, ExitCode, first_line, is_full_disk
from common.streams.delta import DELTA_LOG, WRITER, delta_library, last_step
from common.streams.encode import open_encoder
from common.streams.staging import Part, PartWriter, by_stream, drop_staged, number_of
from common.tables.evolution import fitted, grown
from common.tables.layout import DELETED, Layout

STEP = "adstream.step"
"""Where a transaction's step stands in the table's history."""
ATTEMPTS = 10
"""How often a transaction is tried that others get ahead of: only maintenance writes beside the job."""
WHOLE_BYTES = 256 * 2**20
"""A step whose rows are no larger is merged as a whole: Delta then leaves out the files that it can't concern."""

log = logging.getLogger("adstream")


@dataclass(frozen=True)
class DeltaTables:
    """A job's tables below one folder. It can be pickled.

    Attributes:
        root: The output folder.
        layouts: How each stream's records lie in its table.
    """

    root: str
    layouts: Mapping[str, Layout]

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """The contract of every stream."""
        return {stream: layout.contract for stream, layout in self.layouts.items()}

    def writer(self, step: str, part: str) -> PartWriter:
        """As `Sink.writer`."""
        return PartWriter(Path(self.root), step, part, ".parquet", self.contracts, open_encoder)

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """As `Sink.deliver`; a step that a table has is skipped there.

        Raises:
            AdstreamError: A table can't take the rows of its contract, others write to it all the time, or the
                disk is full.
        """
        for stream, staged in by_stream(step, tuple(parts), self.contracts).items():
            if staged:
                _Table(Path(self.root) / stream, self.layouts[stream]).put(number_of(step), staged)
            for path in staged:
                path.unlink(missing_ok=True)

    def recover(self, step: str) -> None:
        """As `Sink.recover`; what is in the tables stays, they tell which steps those are."""
        drop_staged(Path(self.root))
        for stream in self.layouts:
            folder = Path(self.root) / stream
            if folder.is_dir() and any(folder.iterdir()) and not (folder / DELTA_LOG).exists():
                raise AdstreamError(
                    f"output '{folder}' holds files that are not a Delta table", "choose another --output folder"
                )

    def delivered(self) -> int:
        """As `Sink.delivered`: the last step that any table has."""
        folders = (Path(self.root) / stream for stream in self.layouts)
        versions = (last_step(delta_library().DeltaTable(str(f))) for f in folders if (f / DELTA_LOG).exists())
        return max(versions, default=-1)

    def clear(self) -> None:
        """As `Sink.clear`: the tables are gone, with all their versions."""
        drop_staged(Path(self.root))
        for stream in self.layouts:
            shutil.rmtree(Path(self.root) / stream, ignore_errors=True)


@dataclass(frozen=True)
class _Table:
    """The table of a stream."""

    folder: Path
    layout: Layout

    def put(self, step: int, staged: list[Path]) -> None:
        """Adds a step's rows, unless the table has the step."""
        name = f"table '{self.folder}'"
        with _told_plainly(name):
            if not (self.folder / DELTA_LOG).exists():
                self._create()
            again(lambda: self._try(name, step, staged), name)

    def _create(self) -> None:
        delta, layout = delta_library(), self.layout
        self.folder.mkdir(parents=True, exist_ok=True)
        by = [layout.partitioned_by] if layout.partitioned_by else None
        delta.DeltaTable.create(
            str(self.folder), delta.Schema.from_arrow(layout.columns), partition_by=by, name=layout.contract.stream
        )

    def _try(self, name: str, step: int, staged: list[Path]) -> None:
        """The transaction, on the table as it is now."""
        delta = delta_library()
        table = delta.DeltaTable(str(self.folder))
        if last_step(table) >= step:
            return
        self._check_partitions(name, table)
        columns = self._evolved(name, table)
        properties = delta.CommitProperties(
            custom_metadata={STEP: str(step)}, app_transactions=[delta.Transaction(WRITER, step)]
        )
        if self.layout.upserts:
            self._merge(table, staged, columns, properties)
        else:
            rows = pa.RecordBatchReader.from_batches(columns, self._batches(staged, columns))
            delta.write_deltalake(table, rows, mode="append", commit_properties=properties)

    def _evolved(self, name: str, table: Any) -> pa.Schema:
        """The columns of the table, once it has those of the contract."""
        delta, has = delta_library(), pa.schema(table.schema().to_arrow())
        columns = grown(has, self.layout.columns, name)
        if not columns.equals(has):
            added = pa.Table.from_batches([], columns)
            properties = delta.CommitProperties(
                custom_metadata={"adstream.contract": str(self.layout.contract.version)}
            )
            delta.write_deltalake(table, added, mode="append", schema_mode="merge", commit_properties=properties)
            table.update_incremental()
        return columns

    def _merge(self, table: Any, staged: list[Path], columns: pa.Schema, properties: Any) -> None:
        """Updates, inserts and deletes rows by their key."""
        source = columns.append(pa.field(DELETED, pa.bool_()))
        rows: Any = pa.RecordBatchReader.from_batches(source, self._batches(staged, source))
        whole = sum(path.stat().st_size for path in staged) <= WHOLE_BYTES
        if whole:
            rows = rows.read_all()
        same = " AND ".join(f't."{key}" = s."{key}"' for key in self.layout.keys)
        merge = table.merge(rows, same, "s", "t", streamed_exec=not whole, commit_properties=properties)
        there = f'NOT s."{DELETED}"'
        merge.when_matched_delete(f's."{DELETED}"').when_matched_update_all(
            there, [DELETED]
        ).when_not_matched_insert_all(there, [DELETED]).execute()

    def _batches(self, staged: list[Path], columns: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of staged parts, in the columns that the table has by now."""
        for records in staged_records(staged):
            yield from fitted(self.layout.rows(records), columns).to_batches()

    def _check_partitions(self, name: str, table: Any) -> None:
        """The partitions of a table are for its life."""
        has, wanted = table.metadata().partition_columns, [self.layout.partitioned_by or ""]
        if has != [column for column in wanted if column]:
            raise AdstreamError(
                f"{name}: it is partitioned by '{', '.join(has) or 'nothing'}', not by '{wanted[0] or 'nothing'}'",
                "set its partition back, or land into another --output folder",
            )


def staged_records(staged: Iterable[Path]) -> Iterator[pa.Table]:
    """The records of staged parts, a row group at a time."""
    for path in staged:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)


def again(transaction: Callable[[], None], name: str) -> None:
    """Makes a transaction, and makes it again on the table's newest version when another one came first.

    Args:
        transaction: What is tried.
        name: The table, for messages.

    Raises:
        AdstreamError: Others came first `ATTEMPTS` times.
    """
    conflict = delta_library().exceptions.CommitFailedError
    for attempt in range(ATTEMPTS):
        try:
            transaction()
        except conflict as error:
            log.info("%s: another transaction came first, trying again (%s)", name, first_line(error))
            if attempt + 1 == ATTEMPTS:
                raise AdstreamError(
                    f"{name}: others wrote to it {ATTEMPTS} times while a step was being written",
                    "stop what writes to it beside the job, and run it again: it goes on with this step",
                    ExitCode.UNAVAILABLE,
                ) from error
        else:
            return


@contextmanager
def _told_plainly(name: str) -> Iterator[None]:
    """A full disk as one line: what Delta raises then has no code, only a text."""
    try:
        yield
    except (OSError, delta_library().exceptions.DeltaError) as error:
        if not is_full_disk(error):
            raise
        raise AdstreamError(
            f"{name}: no space left on its disk",
            "make room, and run it again: nothing is lost, it goes on with this step",
            ExitCode.UNAVAILABLE,
        ) from error
