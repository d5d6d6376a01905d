"""The stateless front of a job: splits of files to frames, by the same code on every engine."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.operators.buckets import split_by_bucket
from common.operators.step import BEGINNING
from common.runtime.frames import Frame, Kind, Onward, pack
from common.streams.decode import read
from common.streams.folder import Split
from common.topology.plan import EVENT_TIME, Plan


@dataclass(frozen=True)
class Batch:
    """What a batch of a split's records became.

    Attributes:
        events: The events that each inlet of the stream gave: the stage, and its events by bucket.
        dead: The dead letters, in their contract's records.
        home: The bucket that takes the dead letters: one a split, so that they are counted once.
        latest: The latest event time in the batch, in epoch ms; `BEGINNING` for none.
        order: Sorts the batches of one partition as they stand in it.
        records: How many records were read, dead letters not counted.
    """

    events: tuple[tuple[str, Mapping[int, pa.Table]], ...]
    dead: pa.Table
    home: int
    latest: int
    order: str
    records: int

    def onward(self, partition: str) -> Iterator[Onward]:
        """The events, as they go to the buckets."""
        for stage, by_bucket in self.events:
            for bucket, rows in by_bucket.items():
                yield Onward(stage, bucket, f"{partition}/{self.order}", rows)


@dataclass(frozen=True)
class Front:
    """Reads splits, applies the inlets' functions, and splits what comes out by bucket.

    Attributes:
        plan: The job's plan.
        contracts: The contract of each source stream.
        buckets: How many buckets the job has.
        max_future_skew: How far ahead of the clock an event may be, in ms.
    """

    plan: Plan
    contracts: Mapping[str, Contract]
    buckets: int
    max_future_skew: int

    def batches(self, split: Split, now: int) -> Iterator[Batch]:
        """The batches of a split.

        Args:
            split: What to read.
            now: The wall clock, in epoch ms: events more than `max_future_skew` ahead are dead.
        """
        home = zlib.crc32(split.place.encode()) % self.buckets
        inlets = [(inlet, self.plan.stage(inlet.stage)) for inlet in self.plan.inlets_of(split.stream)]
        decoded = read(split, self.contracts[split.stream], now + self.max_future_skew)
        for number, part in enumerate(decoded):
            latest = BEGINNING
            given = []
            for inlet, stage in inlets:
                events = inlet.apply(part.records)
                if stage.timed and events.num_rows:
                    latest = max(latest, pc.max(events[EVENT_TIME]).as_py())
                given.append((stage.id, split_by_bucket(events, stage.key, self.buckets)))
            yield Batch(tuple(given), part.dead, home, latest, f"{split.order}/{number:06d}", part.records.num_rows)

    def frames(self, split: Split, now: int) -> Iterator[Frame]:
        """The frames of a split: events by bucket, dead letters, and last its time for every bucket."""
        latest = BEGINNING
        for batch in self.batches(split, now):
            latest = max(latest, batch.latest)
            records = batch.records
            for sent in batch.onward(split.partition):
                yield sent.frame(split.partition, batch.latest, records)
                records = 0
            # Also where the functions in between left nothing over: no record goes uncounted.
            if batch.dead.num_rows or records:
                yield Frame(batch.home, Kind.DEAD, split.partition, payload=pack(batch.dead), records=records)
        if latest > BEGINNING:
            for bucket in range(self.buckets):
                yield Frame(bucket, Kind.TIME, split.partition, latest)
