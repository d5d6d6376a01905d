"""Parts: what a task writes of a step, out of sight until the step is delivered.

OUT/_staging/<stream>/<step>.<part>.<attempt>.<ext>
"""

from __future__ import annotations

import logging
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from common.contracts.contract import Contract
from common.retry import OUTAGE_SECONDS, retry
from common.streams.encode import Encoder

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

STAGING = "_staging"
_STAGED = re.compile(r"[^.]+\.[^.]+\.[0-9a-f]{12}\.\w+")
"""What `PartWriter` names a file."""
_NUMBERED = re.compile(r"(\d{9})\.")
"""How the name of a file begins that belongs to a step with a number."""
_DELIVERED = re.compile(r"(\d{9}|batch)\.[^.]+\.")
"""How the name of a delivered file begins."""
WRITE_ROWS = 131_072
"""How many rows are encoded at once; what a bucket's step gives is much less."""
WRITE_BYTES = 64 * 2**20

OpenFile = Callable[[Path, Contract], Encoder]

log = logging.getLogger("adstream")


@dataclass(frozen=True)
class Part:
    """A staged file; made of plain values, so that a task can report it.

    Attributes:
        stream: The stream of its records.
        path: Where it is staged.
        rows: How many records it holds.
    """

    stream: str
    path: str
    rows: int


class PartWriter:
    """Stages the output of one task of one step, a file a stream. On an error nothing stays.

    Args:
        root: The output folder.
        step: The name of the step.
        part: The name of the task's part; one of a kind within the step.
        suffix: The suffix of the files, with its dot.
        contracts: The contract of each stream.
        open_file: What encodes a file.

    Attributes:
        parts: The files, once the context was left; streams without records have none.
    """

    def __init__(
        self, root: Path, step: str, part: str, suffix: str, contracts: Mapping[str, Contract], open_file: OpenFile
    ) -> None:
        if {".", "/"} & {*step, *part}:
            raise ValueError(f"'.' and '/' can't stand in the name of a step or part: {step!r}, {part!r}")
        self.parts: tuple[Part, ...] = ()
        self._root = root / STAGING
        # Attempts of one task may run side by side: each has files of its own.
        self._name = f"{step}.{part}.{uuid.uuid4().hex[:12]}{suffix}"
        self._contracts = contracts
        self._open_file = open_file
        self._files: dict[str, _File] = {}

    def write(self, records: Mapping[str, pa.Table]) -> None:
        """Adds records.

        Args:
            records: Tables in the Arrow schemas of their contracts, by stream.
        """
        for stream, table in records.items():
            if table.num_rows:
                if stream not in self._files:
                    self._files[stream] = self._opened(stream)
                self._files[stream].add(table)

    def _opened(self, stream: str) -> _File:
        path = self._root / stream / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        return _File(path, self._open_file(path, self._contracts[stream]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for file in self._files.values():
                file.abandon()
            return
        for file in self._files.values():
            file.complete()
        self.parts = tuple(Part(stream, str(file.path), file.rows) for stream, file in self._files.items())


@dataclass
class _File:
    """A file that is being written, and the rows that wait to be encoded together."""

    path: Path
    encoder: Encoder
    rows: int = 0
    _waiting: list[pa.Table] = field(default_factory=list)
    _rows_waiting: int = 0
    _bytes_waiting: int = 0

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        self._waiting.append(table)
        self._rows_waiting += table.num_rows
        self._bytes_waiting += table.nbytes
        if self._rows_waiting >= WRITE_ROWS or self._bytes_waiting >= WRITE_BYTES:
            self._encode()

    def complete(self) -> None:
        self._encode()
        self.encoder.close()

    def abandon(self) -> None:
        self.encoder.close()
        self.path.unlink(missing_ok=True)

    def _encode(self) -> None:
        if self._waiting:
            self.encoder.write(pa.concat_tables(self._waiting))
        self._waiting, self._rows_waiting, self._bytes_waiting = [], 0, 0


def step_name(step: int) -> str:
    """A step's name in output files; names sort as steps do."""
    return f"{step:09d}"


def step_of(name: str) -> str:
    """The step that a staged or delivered file belongs to, from its name."""
    return name.partition(".")[0]


def is_staged_name(name: str) -> bool:
    """Whether a file is called as it was when it was staged, as those of a Delta table are."""
    return _STAGED.fullmatch(name) is not None


def is_of_a_step(name: str) -> bool:
    """Whether a delivered file has the name that steps give, `<step>.<part>.…`; all other files are somebody else's."""
    return _DELIVERED.match(name) is not None


def number_in(name: str) -> int | None:
    """The number of the step that a file is of, whoever wrote it; None for all others, as one put back between two steps."""
    found = _NUMBERED.match(name)
    return int(found[1]) if found else None


def number_of(step: str) -> int:
    """The number of a step, from its name; 0 for the one step of a run in `batch` mode."""
    return int(step) if step.isdigit() else 0


def by_stream(step: str, parts: tuple[Part, ...], streams: Mapping[str, Contract]) -> dict[str, list[Path]]:
    """The staged files of a step, for every stream of a sink."""
    staged: dict[str, list[Path]] = {stream: [] for stream in streams}
    for part in parts:
        path = Path(part.path)
        if step_of(path.name) != step:
            raise ValueError(f"'{path}' is not a part of step '{step}'")
        staged[part.stream].append(path)
    return staged


def transacted(
    step: str, parts: Iterable[Part], streams: Mapping[str, Contract], transact: Callable[[dict[str, list[Path]]], None]
) -> None:
    """Delivers a step in one transaction of a service, then drops what was staged; a service that is away is waited for.

    Args:
        step: The name of the step.
        parts: Its parts.
        streams: The contract of every stream of the sink.
        transact: The transaction, given the staged files by stream. It is made again where it failed, so it must find
            out whether it has happened.

    Raises:
        AdstreamError: The service does not come back (`UNAVAILABLE`), or refuses it.
    """
    staged = by_stream(step, tuple(parts), streams)
    retry(lambda: transact(staged), OUTAGE_SECONDS, log.warning)
    for paths in staged.values():
        for path in paths:
            path.unlink(missing_ok=True)


def staged_records(staged: Iterable[Path]) -> Iterator[pa.Table]:
    """The records of staged Parquet files, a row group at a time."""
    for path in staged:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)


def drop_staged(root: Path) -> None:
    """Removes all that was staged and not delivered."""
    shutil.rmtree(root / STAGING, ignore_errors=True)
