"""What a checkpoint holds, and whether it is whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.errors import reason_of
from common.runtime.checkpoint import Checkpoint, Manifest
from common.runtime.keyed import STATE, Stored
from common.topology.plan import Plan, Stage


@dataclass(frozen=True)
class Held:
    """What an operator holds.

    Attributes:
        operator: Its id.
        rows: How many rows.
        keys: How many keys they are of; None where they are of none.
        bytes: How many bytes its files have.
        files: How many files these are.
    """

    operator: str
    rows: int
    keys: int | None
    bytes: int
    files: int


@dataclass(frozen=True)
class Flaw:
    """A state file that is not as it was written.

    Attributes:
        name: The file, relative to the checkpoint.
        reason: What is wrong with it.
    """

    name: str
    reason: str


def held(checkpoint: Checkpoint, plan: Plan, manifest: Manifest) -> Iterator[Held]:
    """What each operator holds, which is read for it.

    Raises:
        AdstreamError: A state file is not there, or not whole.
    """
    sizes = checkpoint.storage.files(STATE)
    stored: dict[str, list[Stored]] = defaultdict(list)
    for operator, _, files in manifest.stored():
        stored[operator].append(files)
    for stage in plan.stages:
        mine = stored[stage.id]
        paths = [path for files in mine for path in files.paths]
        yield Held(
            operator=stage.id,
            rows=sum(files.live for files in mine),
            keys=_keys(checkpoint, stage, mine),
            bytes=sum(sizes.get(path, 0) for path in paths),
            files=len(paths),
        )


def flaws(checkpoint: Checkpoint, manifest: Manifest) -> Iterator[Flaw]:
    """The state files of a checkpoint that are gone, or not as they were written; every one is read."""
    for _, _, stored in manifest.stored():
        for name, rows, written in zip(stored.paths, stored.rows, stored.sums, strict=True):
            reason = _flaw(checkpoint, name, rows, written)
            if reason:
                yield Flaw(name, reason)


def _flaw(checkpoint: Checkpoint, name: str, rows: int, written: int) -> str:
    try:
        content = checkpoint.storage.read(name)
    except OSError as error:
        return f"it can't be read ({reason_of(error)})"
    if crc32(content) != written:
        return f"its {content.size:,} bytes are not those that were written"
    try:
        found = _rows(name, content)
    except (OSError, pa.ArrowException) as error:
        return f"it can't be read ({reason_of(error)})"
    return "" if found == rows else f"{found:,} rows of {rows:,}"


def _rows(name: str, content: pa.Buffer) -> int:
    """How many rows a state file has."""
    if name.endswith(".parquet"):
        rows: int = pq.read_table(pa.BufferReader(content)).num_rows
        return rows
    segment: int = pa.ipc.open_stream(content).read_all().num_rows
    return segment


def _keys(checkpoint: Checkpoint, stage: Stage, stored: list[Stored]) -> int | None:
    """How many keys a stage has rows of: each key is in one bucket only."""
    if stage.key not in stage.operator.state_schema.names:
        return None
    tables = (checkpoint.table(files, stage.operator) for files in stored)
    return sum(len(pc.unique(table[stage.key])) for table in tables)
