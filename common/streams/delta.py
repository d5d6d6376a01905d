"""Streams as Delta tables: one transaction a step and stream, with the step as its version.

Files are named by their step; those of other names are what something joined of them (`OPTIMIZE`). A step that is
delivered again with the same records leaves its table alone, so that the table only grows and can be read as a
stream; with other records, one transaction replaces it. A step without records for a stream makes no transaction in its table.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.contracts.contract import Contract
from common.errors import AdstreamError, UnavailableError
from common.streams.encode import Encoder, ParquetEncoder
from common.streams.json_text import json_lines
from common.streams.staging import Part, PartWriter, by_stream, drop_staged, is_staged_name, number_of, step_of
from common.tables.evolution import grown
from common.tables.layout import plain

DELTA_LOG = "_delta_log"
WRITER = "adstream"
"""The application id of the transactions: a stream has a single writer, so it need not name the job."""


@dataclass(frozen=True)
class DeltaSink:
    """A Delta table a stream, below one folder.

    Attributes:
        root: The output folder.
        contracts: The contract of every stream.
    """

    root: str
    contracts: Mapping[str, Contract]

    @classmethod
    def open(cls, root: str, contracts: Mapping[str, Contract]) -> DeltaSink:
        """The sink, once `deltalake` is known to be there.

        Raises:
            AdstreamError: It is not installed.
        """
        delta_library()
        return cls(root, contracts)

    def writer(self, step: str, part: str) -> PartWriter:
        """As `Sink.writer`."""
        return PartWriter(Path(self.root), step, part, ".parquet", self.contracts, _open_encoder)

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """As `Sink.deliver`; a stream's table shows a step as a whole."""
        parts = tuple(parts)
        rows = {Path(part.path).name: part.rows for part in parts}
        for stream, staged in by_stream(step, parts, self.contracts).items():
            folder = Path(self.root) / stream
            if staged or (folder / DELTA_LOG).exists():
                _Table.of(folder, self.contracts[stream]).put(step, staged, rows)

    def recover(self, step: str) -> None:
        """As `Sink.recover`.

        A table may be one step ahead of the checkpoint when a run was killed; that step is delivered
        again. Further ahead, the checkpoint is another one, and the steps from `step` on are taken back.

        Raises:
            AdstreamError: There are files of another kind, or the steps to be taken back were compacted.
        """
        drop_staged(Path(self.root))
        for stream in self.contracts:
            folder = Path(self.root) / stream
            if (folder / DELTA_LOG).exists():
                _Table.of(folder, self.contracts[stream]).take_back(step)
            elif folder.is_dir() and any(folder.iterdir()):
                raise AdstreamError(
                    f"output '{folder}' holds files that are not a Delta table",
                    "choose another --output folder, or the --format of these files",
                )

    def delivered(self) -> int:
        """As `Sink.delivered`: commits can be taken back."""
        return -1

    def clear(self) -> None:
        """As `Sink.clear`."""
        drop_staged(Path(self.root))
        for stream in self.contracts:
            shutil.rmtree(Path(self.root) / stream, ignore_errors=True)


def delta_files(folder: Path) -> list[Path]:
    """The files of a table's newest version, in step order; first those that were compacted, of steps before.

    Raises:
        AdstreamError: `deltalake` is not installed.
    """
    files = (folder / Path(uri).name for uri in delta_library().DeltaTable(str(folder)).file_uris())
    return sorted(files, key=lambda path: (not is_compacted(path), path.name))


def is_compacted(file: Path) -> bool:
    """Whether a file of a stream's table belongs to no step: something joined those of several, in any order.

    Delta's own files are `part-00000-<uuid>-c000.snappy.parquet`.
    """
    return not is_staged_name(file.name)


@dataclass(frozen=True)
class _Table:
    """A stream's table, as of when it was opened."""

    folder: Path
    contract: Contract
    table: Any

    @classmethod
    def of(cls, folder: Path, contract: Contract) -> _Table:
        delta = delta_library()
        if not (folder / DELTA_LOG).exists():
            folder.mkdir(parents=True, exist_ok=True)
            schema = delta.Schema.from_arrow(delta_schema(contract))
            return cls(folder, contract, delta.DeltaTable.create(str(folder), schema))
        return cls(folder, contract, delta.DeltaTable(str(folder)))

    def put(self, step: str, staged: list[Path], rows: Mapping[str, int]) -> None:
        """Makes staged files the content of a step."""
        old = self._files(lambda of: of == step)
        new = [self.folder / path.name for path in staged]
        if set(old) == set(new):
            return
        for path, target in zip(staged, new, strict=True):
            if path.exists() or not target.exists():
                path.replace(target)
        # No file of a step that was delivered: the table was optimised since.
        if last_step(self.table) >= number_of(step) and (not old or _same_records(old, new)):
            for target in new:
                target.unlink()
            return
        self._grow()
        self._commit(number_of(step), remove=old, add={path: rows[path.name] for path in new})

    def _grow(self) -> None:
        """Gives the table the fields that are new in the contract: who reads it as a table would not see them.

        They may be null, whatever the contract says: of the steps before they are.
        """
        has = pa.schema(self.table.schema().to_arrow())
        wanted = pa.schema([pa.field(part.name, plain(part.type)) for part in self.contract.arrow])
        schema = grown(has, wanted, f"table '{self.folder}'")
        if not schema.equals(has):
            none = pa.Table.from_batches([], schema)
            delta_library().write_deltalake(self.table, none, mode="append", schema_mode="merge")
            self.table.update_incremental()

    def take_back(self, step: str) -> None:
        """Removes the steps from `step` on, if there are more than that one; a compacted file is left alone."""
        if last_step(self.table) > number_of(step) and any(map(is_compacted, self._every())):
            raise AdstreamError(
                f"'{self.folder}' was compacted: its steps from {number_of(step)} on can't be taken back",
                "put the checkpoint back that belongs to it, or begin anew: adstream reset JOB --outputs",
            )
        if self._files(lambda of: of > step):
            self._commit(number_of(step) - 1, remove=self._files(lambda of: of >= step), add={})

    def _every(self) -> list[Path]:
        return sorted(self.folder / Path(uri).name for uri in self.table.file_uris())

    def _files(self, chosen: Callable[[str], bool]) -> list[Path]:
        """The files of chosen steps."""
        return [path for path in self._every() if not is_compacted(path) and chosen(step_of(path.name))]

    def _commit(self, version: int, remove: list[Path], add: Mapping[Path, int]) -> None:
        delta, now = delta_library(), int(time.time() * 1000)
        actions: list[Any] = [delta.transaction.RemoveAction(path.name, True, now) for path in remove]
        actions += [
            delta.transaction.AddAction(
                path=path.name,
                size=path.stat().st_size,
                partition_values={},
                modification_time=now,
                data_change=True,
                stats=f'{{"numRecords": {rows}}}',
            )
            for path, rows in add.items()
        ]
        self.table.create_write_transaction(
            actions,
            mode="append",
            schema=self.table.schema(),
            commit_properties=delta.CommitProperties(app_transactions=[delta.Transaction(WRITER, version)]),
        )


def last_step(table: Any) -> int:
    """The last step whose transaction is in a `deltalake.DeltaTable`; -1 for none."""
    last = table.transaction_version(WRITER)
    return -1 if last is None else int(last)


def delta_schema(contract: Contract) -> pa.Schema:
    """A contract's Arrow schema in the types that Delta has: enums as strings, timestamps in microseconds."""
    return pa.schema([_delta_field(part) for part in contract.arrow])


def _delta_field(part: pa.Field) -> pa.Field:
    kind = part.type
    if pa.types.is_struct(kind):
        kind = pa.struct([_delta_field(child) for child in kind])
    elif pa.types.is_list(kind):
        kind = pa.list_(_delta_field(kind.value_field))
    elif pa.types.is_dictionary(kind):
        kind = kind.value_type
    elif pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", tz="UTC")
    return part.with_type(kind)


def _open_encoder(path: Path, contract: Contract) -> Encoder:
    return ParquetEncoder(path, delta_schema(contract))


def _same_records(some: list[Path], others: list[Path]) -> bool:
    return _sorted_lines(some) == _sorted_lines(others)


def _sorted_lines(files: list[Path]) -> list[str]:
    return sorted(line for path in files for line in json_lines(pq.read_table(path, partitioning=None)).to_pylist())


def delta_library() -> Any:
    """The library that reads and writes Delta tables.

    Raises:
        AdstreamError: It is not installed (`UNAVAILABLE`).
    """
    try:
        import deltalake  # noqa: PLC0415 an extra
        import deltalake.transaction  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            "the format delta needs the package deltalake",
            "install the extra 'delta' (uv sync --extra delta), or choose another --format",
        ) from error
    return deltalake
