"""Reading splits, and bringing the rows of each bucket together."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa


class Shuffle:
    """Rows by bucket: in memory up to a budget, beyond it in Arrow files, one a bucket.

    Many threads may add; a bucket is taken once, when all was added.

    Args:
        folder: Where to spill; made when needed, removed by the caller.
        budget: How many bytes to hold in memory.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._held: dict[int, list[pa.Table]] = defaultdict(list)
        self._bytes = 0
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}
        self._lock = threading.Lock()

    def add(self, tables: Mapping[int, pa.Table]) -> None:
        """Adds a batch's rows of each bucket."""
        with self._lock:
            for bucket, table in tables.items():
                self._held[bucket].append(table)
                self._bytes += table.nbytes
            if self._bytes > self._budget:
                self._spill()

    def seal(self) -> tuple[int, ...]:
        """Ends the adding; gives the buckets that have rows."""
        for writer in self._writers.values():
            writer.close()
        return tuple(sorted(self._held.keys() | self._writers.keys()))

    def take(self, bucket: int) -> list[pa.Table]:
        """The rows of a bucket; they are held no longer."""
        tables = self._held.pop(bucket, [])
        if bucket in self._writers:
            path = self._path(bucket)
            tables.append(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        return tables

    def _spill(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for bucket, tables in self._held.items():
            if bucket not in self._writers:
                self._writers[bucket] = pa.ipc.new_file(str(self._path(bucket)), tables[0].schema)
            for table in tables:
                self._writers[bucket].write_table(table)
        self._held.clear()
        self._bytes = 0

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket:05d}.arrow"
