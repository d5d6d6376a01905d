"""What an output stream says in the end: its records in order, and the table they leave.

Used to compare the answers of engines, which cut and order their output differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.operators.buckets import concat
from common.operators.step import END
from common.streams.decode import read
from common.streams.delta import DELTA_LOG, delta_files, is_compacted
from common.streams.folder import FolderSource, Split
from common.streams.json_text import json_lines, json_text


def records(root: str | Path, stream: str, contract: Contract) -> Iterator[pa.Table]:
    """The records of an output stream, in step order; within a step, in the order of its parts.

    Args:
        root: The output folder of a run, in any format.
        stream: The stream; one that was never written has no records.
        contract: Its contract.

    Raises:
        AdstreamError: A file can't be read, or a record breaks the contract; the order of entities was lost.
    """
    for path in _files(Path(root), stream, contract):
        for decoded in read(Split(stream, str(path)), contract, END):
            if decoded.dead.num_rows:
                letter = decoded.dead["value"][0].as_py()
                raise AdstreamError(
                    f"'{path}', record {letter['offset']}: not a record of '{stream}' ({letter['reason']})",
                    "run the job again into an empty --output folder",
                )
            yield decoded.records


def table(root: str | Path, stream: str, contract: Contract) -> pa.Table:
    """What the stream's records leave, in the contract's Arrow schema, sorted by the records' JSON text.

    In an entity stream each record replaces the one before of its key, and a tombstone removes it; an
    event stream keeps all its records.

    Args:
        root: The output folder of a run, in any format.
        stream: The stream.
        contract: Its contract.

    Raises:
        AdstreamError: As `records`.
    """
    return settled(records(root, stream, contract), contract)


def settled(tables: Iterable[pa.Table], contract: Contract) -> pa.Table:
    """What records leave, as `table` tells; for records that come from elsewhere, such as a broker.

    Args:
        tables: Records in the contract's Arrow schema, those of each key in order.
        contract: The contract of their stream.
    """
    every = concat(list(tables), contract.arrow)
    if every.num_rows and contract.meta.tombstones:
        every = _latest(every)
    return every.take(pc.sort_indices(pa.chunked_array(_lines(every), pa.string())))


def digest(materialised: pa.Table) -> str:
    """A hash of a table that `table` gave: equal for equal records, whatever engine and format wrote them."""
    content = hashlib.sha256()
    for lines in _lines(materialised):
        for line in lines.to_pylist():
            content.update(line.encode() + b"\n")
    return content.hexdigest()


def _latest(every: pa.Table) -> pa.Table:
    """The last record of each key, unless it is a tombstone."""
    keys = pa.chunked_array([json_text(key) for key in every["key"].chunks], pa.string())
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy()
    last = np.empty(codes.max() + 1, dtype=np.int64)
    last[codes] = np.arange(len(codes))
    latest = every.take(pa.array(np.sort(last)))
    return latest.filter(latest["value"].is_valid())


def _lines(records: pa.Table) -> list[pa.Array]:
    return [json_lines(pa.Table.from_batches([batch])) for batch in records.to_batches()]


def _files(root: Path, stream: str, contract: Contract) -> list[Path]:
    folder = root / stream
    if (folder / DELTA_LOG).exists():
        files = delta_files(folder)
        if contract.meta.tombstones and any(map(is_compacted, files)):
            raise AdstreamError(
                f"'{folder}' was compacted: which record of a key is the newest is not told any more",
                "run the job again into an empty --output folder, and leave its streams as they are",
            )
        return files
    if not folder.is_dir():
        return []
    return FolderSource(str(root), (stream,)).files(stream)
