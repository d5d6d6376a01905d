"""Reading splits, and bringing the rows of each bucket together."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from common.runtime.bucket import Inbox
from common.runtime.frames import Onward

Place = tuple[int, str]
"""A bucket and a stage."""


class Shuffle:
    """Events by bucket and stage: in memory up to a budget, beyond it in files, one a bucket and stage.

    There may be more buckets than a process may have files open: so each is opened only while it is written or read, and
    holds an Arrow stream a spill. Many threads may add; what a bucket has for a stage is taken once, when all was added.

    Args:
        folder: Where to spill; made when needed, removed by the caller.
        budget: How many bytes to hold in memory.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._budget = budget
        self._held: dict[Place, list[tuple[str, pa.Table]]] = defaultdict(list)
        self._bytes = 0
        self._spilt: dict[Place, list[tuple[str, int]]] = defaultdict(list)
        self._lock = threading.Lock()

    def add(self, batches: Iterable[Onward]) -> None:
        """Adds batches of events."""
        with self._lock:
            for batch in batches:
                self._held[batch.bucket, batch.stage].append((batch.order, batch.events))
                self._bytes += batch.events.nbytes
            if self._bytes > self._budget:
                self._spill()

    def buckets(self, stages: Iterable[str]) -> tuple[int, ...]:
        """The buckets that have events of one of the stages."""
        wanted = set(stages)
        return tuple(sorted({bucket for bucket, stage in self._held.keys() | self._spilt.keys() if stage in wanted}))

    def take(self, bucket: int, stages: Iterable[str]) -> Inbox:
        """What a bucket has for some stages; it is held no longer."""
        inbox = Inbox()
        for stage in stages:
            for order, events in [*self._held.pop((bucket, stage), ()), *self._read((bucket, stage))]:
                inbox.add(stage, order, events)
        return inbox

    def _spill(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for place, batches in self._held.items():
            with self._path(place).open("ab") as file, pa.ipc.new_stream(file, batches[0][1].schema) as writer:
                for order, events in batches:
                    writer.write_table(events)
                    self._spilt[place].append((order, events.num_rows))
        self._held.clear()
        self._bytes = 0

    def _read(self, place: Place) -> list[tuple[str, pa.Table]]:
        """What was spilt for a bucket and stage, cut as it was added."""
        if place not in self._spilt:
            return []
        with pa.memory_map(str(self._path(place))) as file:
            spills = []
            while file.tell() < file.size():
                spills.append(pa.ipc.open_stream(file).read_all())
        rows = pa.concat_tables(spills)
        batches, start = [], 0
        for order, count in self._spilt[place]:
            batches.append((order, rows.slice(start, count)))
            start += count
        return batches

    def _path(self, place: Place) -> Path:
        bucket, stage = place
        return self._folder / f"{bucket:05d}.{stage}.arrow"
