"""Tables in the Delta format: each step is one transaction a table, which also says that the step is in it.

Rows are added, or merged by their key. A transaction carries the number of its step, so a step that is taken again
after a crash is found in the tables that have it, and skipped there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.contracts.contract import Contract
from common.errors import AdstreamError, UnavailableError, first_line
from common.retry import OUTAGE_SECONDS, retry
from common.streams.delta import WRITER, delta_library, last_step
from common.streams.encode import open_encoder
from common.streams.staging import Part, PartWriter, by_stream, drop_staged, number_of, staged_records
from common.tables.evolution import fitted, grown
from common.tables.layout import DELETED, Layout
from common.tables.place import TablePlace, is_of_store
from common.tables.runs import begin, running

RUNNER = "adstream.run"
"""The application id of the run that may write to a table that no lock guards."""
STEP = "adstream.step"
"""Where a transaction's step stands in the table's history."""
ATTEMPTS = 10
"""How often a transaction is tried that others get ahead of: only maintenance writes beside the job."""
WHOLE_BYTES = 256 * 2**20
"""A step whose rows are no larger is merged as a whole: Delta then leaves out the files that it can't concern."""

log = logging.getLogger("adstream")


@dataclass(frozen=True)
class DeltaTables:
    """A job's tables in one place. It can be pickled.

    Attributes:
        root: The local folder in which parts wait for their step to be delivered.
        place: Where the tables are.
        layouts: How each stream's records lie in its table.
    """

    root: str
    place: TablePlace
    layouts: Mapping[str, Layout]

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """The contract of every stream."""
        return {stream: layout.contract for stream, layout in self.layouts.items()}

    def writer(self, step: str, part: str) -> PartWriter:
        """As `Sink.writer`."""
        return PartWriter(Path(self.root), step, part, ".parquet", self.contracts, open_encoder)

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """As `Sink.deliver`; a step that a table has is skipped there. An object store that is away is waited for.

        Raises:
            AdstreamError: A table can't take the rows of its contract, others write to it all the time, the
                disk is full, the object store does not come back, or another run has taken over.
        """
        run, patience = (running(self.root), OUTAGE_SECONDS) if self.place.is_remote else (None, 0.0)
        for stream, staged in by_stream(step, tuple(parts), self.contracts).items():
            if staged:
                put = partial(_Table(self.place, self.layouts[stream], run).put, number_of(step), staged)
                retry(put, patience, log.warning)
            for path in staged:
                path.unlink(missing_ok=True)

    def recover(self, step: str) -> None:
        """As `Sink.recover`; what is in the tables stays, they tell which steps those are.

        In an object store it fences the run before: none of its steps can be delivered from here on.
        """
        drop_staged(Path(self.root))
        self._check_own()
        if self.place.is_remote:
            run = begin(self.root)
            for layout in self.layouts.values():
                _Table(self.place, layout, run).fence()

    def delivered(self) -> int:
        """As `Sink.delivered`: the last step that any table has."""
        found = (self.place.open(stream) for stream in self.layouts)
        return max((last_step(table) for table in found if table is not None), default=-1)

    def clear(self) -> None:
        """As `Sink.clear`: the tables are gone, with all their versions.

        Raises:
            AdstreamError: In an object store, there is a table that no job has landed.
        """
        drop_staged(Path(self.root))
        if self.place.is_remote:
            self._check_own()
            begin(self.root)
        for stream in self.layouts:
            self.place.drop(stream)

    def _check_own(self) -> None:
        """Refuses files that are no table, and in an object store tables of somebody else."""
        for stream in self.layouts:
            table, where = self.place.open(stream), self.place.where(stream)
            if table is None and self.place.holds_files(stream):
                raise AdstreamError(
                    f"output '{where}' holds files that are not a Delta table", f"choose another {self._option}"
                )
            if table is not None and self.place.is_remote and table.metadata().name != stream:
                raise AdstreamError(
                    f"the table '{where}' is not one that a job landed", f"move it, or choose another {self._option}"
                )

    @property
    def _option(self) -> str:
        """What names the place on the command line."""
        return "--sink" if self.place.is_remote else "--output folder"


@dataclass(frozen=True)
class _Table:
    """The table of a stream.

    Attributes:
        place: Where it is.
        layout: How its rows look.
        run: The run that may write to it; None where a lock sees to that.
    """

    place: TablePlace
    layout: Layout
    run: int | None

    @property
    def stream(self) -> str:
        """Its name."""
        return self.layout.contract.stream

    def put(self, step: int, staged: list[Path]) -> None:
        """Adds a step's rows, unless the table has the step."""
        name = f"table '{self.place.where(self.stream)}'"
        with self.place.told(name):
            if self.place.open(self.stream) is None:
                self._create()
            again(lambda: self._try(name, step, staged), name)

    def fence(self) -> None:
        """Makes the run the only one that may write to the table, if it is there."""
        name = f"table '{self.place.where(self.stream)}'"

        def attempt() -> None:
            table = self.place.open(self.stream)
            if table is not None:
                table.create_write_transaction(
                    [], mode="append", schema=table.schema(), commit_properties=self._properties({})
                )

        with self.place.told(name):
            again(attempt, name)

    def _create(self) -> None:
        delta, layout = delta_library(), self.layout
        by = [layout.partitioned_by] if layout.partitioned_by else None
        columns = delta.Schema.from_arrow(layout.columns)
        try:
            self.place.create(self.stream, columns, partition_by=by, commit_properties=self._properties({}))
        except delta.exceptions.DeltaError:
            if self.place.open(self.stream) is None:  # nobody else came first
                raise

    def _properties(self, metadata: dict[str, str], *transactions: Any) -> Any:
        """What a commit says of itself; naming the run, it can't be made beside one by which another takes over."""
        delta = delta_library()
        runs = [] if self.run is None else [delta.Transaction(RUNNER, self.run)]
        return delta.CommitProperties(custom_metadata=metadata, app_transactions=[*transactions, *runs])

    def _try(self, name: str, step: int, staged: list[Path]) -> None:
        """The transaction, on the table as it is now."""
        delta = delta_library()
        table = self.place.open(self.stream)
        if table is None:
            raise AdstreamError(f"{name}: it is gone", "restore it, or begin anew: adstream reset")
        if self.run is not None and table.transaction_version(RUNNER) != self.run:
            raise AdstreamError(f"{name}: another run has taken over", "stop one of the two")
        if last_step(table) >= step:
            return
        self._check_partitions(name, table)
        columns = self._evolved(name, table)
        properties = self._properties({STEP: str(step)}, delta.Transaction(WRITER, step))
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
            properties = self._properties({"adstream.contract": str(self.layout.contract.version)})
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
            if is_of_store(error):
                raise
            log.info("%s: another transaction came first, trying again (%s)", name, first_line(error))
            if attempt + 1 == ATTEMPTS:
                raise UnavailableError(
                    f"{name}: others wrote to it {ATTEMPTS} times while a step was being written",
                    "stop what writes to it beside the job, and run it again: it goes on with this step",
                ) from error
        else:
            return
