"""Tables by key that only grow: a step reads and writes the rows of the keys that arrived, whatever the table's size.

What a stage holds in a bucket lies in segments, each written once: an Arrow stream sorted by the hash of the key. A
step adds a segment with the rows that its keys have now, or with a mark that a key is gone. Rows are found by
binary search in the mapped files, the newest segment first. Before segments become many they are merged, each with
those that are not much smaller than what follows them, so that a row is rewritten a few times in its life, not once a step.

A step has hundreds of small segments: so they are streams and not Arrow files, which repeat their schema at the end and
which pyarrow opens by way of other threads. Their sums are known from elsewhere, so a torn or rotten one is found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.errors import AdstreamError, reason_of
from common.operators.buckets import hash64
from common.operators.rows import keep
from common.storage import storage_at

STATE = "state"
"""Where state lies below a checkpoint."""
HASH, GONE = "__hash", "__gone"
GROWTH = 4
"""A segment stays as it is while it has over `GROWTH` times the rows of all that follow it."""
SMALL_BYTES = 2**20
"""A segment up to this size is compared with its sum whenever it is read; that takes less than opening its file."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stored:
    """The files that hold what a stage has in a bucket.

    Attributes:
        paths: The files, oldest first, relative to the checkpoint: one for state by bucket, segments for a table by key.
        rows: How many rows each has.
        live: How many rows are held: those that are neither replaced nor gone.
        sums: The CRC-32 of each file's bytes: a torn or rotten one is told by it.
    """

    paths: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    live: int = 0
    sums: tuple[int, ...] = ()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Stored:
        """Reads what `dataclasses.asdict` and JSON made of it."""
        return cls(tuple(content["paths"]), tuple(content["rows"]), content["live"], tuple(content["sums"]))


@dataclass(frozen=True)
class Segments:
    """The tables by key of a checkpoint.

    Attributes:
        root: Where the checkpoint lies.
    """

    root: str

    def find(self, stored: Stored, keys: pa.Array, key: str, schema: pa.Schema) -> pa.Table:
        """The rows of some keys.

        Args:
            stored: The table.
            keys: Distinct keys, `int64` or `string`.
            key: The name of the key column.
            schema: The schema of the rows.

        Raises:
            AdstreamError: A segment is not there, or not whole.
        """
        found: list[pa.Table] = []
        hashes = hash64(keys)
        for place in reversed(range(len(stored.paths))):
            if not len(keys):
                break
            rows, known = _find(self._read(stored, place), keys, hashes, key)
            if rows.num_rows:
                found.append(keep(rows, ~rows[GONE].to_numpy()).select(schema.names))
                keys, hashes = keys.filter(pa.array(~known)), hashes[~known]
        return _under(schema, pa.concat_tables(found)) if found else schema.empty_table()

    def replace(self, stored: Stored, name: str, key: str, old: pa.Table, new: pa.Table) -> Stored:
        """The table with other rows for some keys.

        Args:
            stored: The table as it is.
            name: The name of the segment that is written, relative to the checkpoint; no other may have it.
            key: The name of the key column.
            old: All rows of these keys, as `find` gave them.
            new: The rows that they have now; a key of `old` that is not among them is gone.
        """
        gone = _missing(old[key], new[key])
        if not new.num_rows and not len(gone):
            return stored
        marks = [_gone(gone, key, new.schema)] if len(gone) else []
        segment = _sorted(pa.concat_tables([_marked(new, gone=False), *marks]), key)
        live = stored.live + new.num_rows - old.num_rows
        first = _first_to_merge(stored.rows, segment.num_rows)
        if first < len(stored.paths):
            # Nothing older is left that a mark could hide.
            segment = _merged(self._read_all(stored, first), segment, key, marks=first > 0)
        if segment.num_rows:
            paths, rows = (*stored.paths[:first], name), (*stored.rows[:first], segment.num_rows)
            return Stored(paths, rows, live, (*stored.sums[:first], self._write(name, segment)))
        return Stored(stored.paths[:first], stored.rows[:first], live, stored.sums[:first])

    def everything(self, stored: Stored, key: str, schema: pa.Schema) -> pa.Table:
        """All rows of a table, in no order."""
        if not stored.paths:
            return schema.empty_table()
        *older, newest = self._read_all(stored)
        return _under(schema, _merged(older, newest, key, marks=False).select(schema.names))

    def _read_all(self, stored: Stored, first: int = 0) -> list[pa.Table]:
        """The segments from one on, oldest first."""
        return [self._read(stored, place) for place in range(first, len(stored.paths))]

    def _read(self, stored: Stored, place: int) -> pa.Table:
        path = stored.paths[place]
        try:
            content = storage_at(self.root).read(path)
            self._check(path, content, stored.sums[place])
            return pa.ipc.open_stream(content).read_all()
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.root, path, error) from error

    def _check(self, path: str, content: pa.Buffer, checksum: int) -> None:
        whole = _whole(self.root, os.getpid())
        if (path, checksum) not in whole:
            check_sum(self.root, path, content, checksum)
            if content.size > SMALL_BYTES:
                whole.add((path, checksum))

    def _write(self, path: str, segment: pa.Table) -> int:
        """Writes a segment; gives its sum."""
        content = pa.BufferOutputStream()
        with pa.ipc.new_stream(content, segment.schema) as stream:
            stream.write_table(segment.combine_chunks())
        written = content.getvalue()
        storage_at(self.root).write(path, written)
        return crc32(written)


def state_file(step: int, bucket: int, stage: str, suffix: str) -> str:
    """The file, relative to the checkpoint, of what a stage holds in a bucket after a step.

    Args:
        step: The step that writes it.
        bucket: The bucket.
        stage: The id of the stage.
        suffix: `parquet` for state by bucket, `arrow` for a segment of a table by key.
    """
    return f"{STATE}/{step:09d}/{bucket:05d}.{stage}.{suffix}"


@cache
def _whole(root: str, process: int) -> set[tuple[str, int]]:
    """The large segments that a process has compared with their sums: they are mapped, and used at each step."""
    return set()


def check_sum(root: str, name: str, content: pa.Buffer, checksum: int) -> None:
    """Compares the bytes of a state file with what they were when it was written.

    Raises:
        AdstreamError: They are others.
    """
    if crc32(content) != checksum:
        raise unreadable(root, name, "its bytes are not those that were written")


def unreadable(root: str, name: str, reason: Exception | str) -> AdstreamError:
    """The error of a state file that is not there, or not whole."""
    why = reason if isinstance(reason, str) else reason_of(reason)
    return AdstreamError(
        f"checkpoint '{root}/{name}': the state can't be read ({why})",
        "restore it, fall back to an older one (adstream checkpoints list JOB), or let the job begin anew "
        "(adstream reset JOB)",
    )


def _find(segment: pa.Table, keys: pa.Array, hashes: Ints, key: str) -> tuple[pa.Table, Bools]:
    """The rows of a segment that have one of the keys, and which of the keys these are."""
    held = segment[HASH].to_numpy()
    first, behind = np.searchsorted(held, hashes, "left"), np.searchsorted(held, hashes, "right")
    counts = behind - first
    known = np.zeros(len(keys), dtype=np.bool_)
    of_key = np.repeat(np.arange(len(keys)), counts)
    if not len(of_key):
        return segment.slice(0, 0), known
    place = np.arange(len(of_key)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    rows = segment.take(pa.array(place))
    # Two strings may have one hash.
    same = pc.equal(rows[key], keys.take(pa.array(of_key))).to_numpy()
    known[of_key[same]] = True
    return keep(rows, same), known


def _missing(some: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.Array:
    """The distinct keys that are not among others."""
    keys = pc.unique(some)
    return keys.filter(pc.invert(pc.is_in(keys, value_set=pc.unique(others))))


def _marked(rows: pa.Table, *, gone: bool) -> pa.Table:
    """Rows as a segment has them, where every column but the key may be null."""
    hashless = rows.append_column(GONE, pa.array(np.full(rows.num_rows, gone)))
    return _under(pa.schema([field.with_nullable(True) for field in hashless.schema]), hashless)


def _under(schema: pa.Schema, rows: pa.Table) -> pa.Table:
    """The same columns under a schema that says otherwise what may be null; a cast refuses some nested nulls."""
    return pa.Table.from_arrays(rows.columns, schema=schema)


def _gone(keys: pa.Array, key: str, schema: pa.Schema) -> pa.Table:
    columns = [keys if field.name == key else pa.nulls(len(keys), field.type) for field in schema]
    nullable = pa.schema([field.with_nullable(True) for field in schema])
    return _marked(pa.table(columns, schema=nullable), gone=True)


def _sorted(rows: pa.Table, key: str) -> pa.Table:
    """Rows with their hashes, in the order of these."""
    hashes = hash64(rows[key].combine_chunks()) if rows.num_rows else np.zeros(0, dtype=np.int64)
    order = np.argsort(hashes, kind="stable")
    return rows.take(pa.array(order)).append_column(HASH, pa.array(hashes[order]))


def _first_to_merge(rows: tuple[int, ...], added: int) -> int:
    """The first of the segments that a new one of `added` rows is merged with; their number, for none."""
    first, following = len(rows), added
    while first and rows[first - 1] <= GROWTH * following:
        first -= 1
        following += rows[first]
    return first


def _merged(older: list[pa.Table], newest: pa.Table, key: str, *, marks: bool) -> pa.Table:
    """Segments as one: of each key, the rows of the newest that has it."""
    kept = [newest]
    for segment in reversed(older):
        newer = pa.chunked_array([chunk for part in kept for chunk in part[key].chunks], newest[key].type)
        kept.append(keep(segment, ~pc.is_in(segment[key], value_set=pc.unique(newer)).to_numpy()))
    rows = pa.concat_tables(kept)
    rows = (rows if marks else keep(rows, ~rows[GONE].to_numpy())).combine_chunks()
    # All are in order by themselves, of which this sort makes use.
    return rows.take(pa.array(np.argsort(rows[HASH].to_numpy(), kind="stable")))
