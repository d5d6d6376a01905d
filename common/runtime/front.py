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
from common.runtime.frames import Frame, Kind, pack
from common.streams.decode import read
from common.streams.folder import Split
from common.topology.plan import Plan


@dataclass(frozen=True)
class Batch:
    """What a batch of a split's records became.

    Attributes:
        events: The operator's events, by bucket.
        dead: The dead letters, in their contract's records.
        dead_bucket: The bucket that takes the dead letters: one a split, so that they are counted once.
        latest: The latest event time in the batch, in epoch ms; `BEGINNING` for none.
    """

    events: Mapping[int, pa.Table]
    dead: pa.Table
    dead_bucket: int
    latest: int


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
        inlet = self.plan.inlet(split.stream)
        dead_bucket = zlib.crc32(split.place.encode()) % self.buckets
        for decoded in read(split, self.contracts[split.stream], now + self.max_future_skew):
            events = inlet.apply(decoded.records)
            latest = pc.max(events["eventTime"]).as_py() if events.num_rows else BEGINNING
            yield Batch(split_by_bucket(events, self.plan.key, self.buckets), decoded.dead, dead_bucket, latest)

    def frames(self, split: Split, now: int) -> Iterator[Frame]:
        """The frames of a split: events by bucket, dead letters, and last its time for every bucket."""
        latest = BEGINNING
        for batch in self.batches(split, now):
            latest = max(latest, batch.latest)
            for bucket, rows in batch.events.items():
                yield Frame(bucket, Kind.EVENTS, split.partition, batch.latest, pack(rows))
            if batch.dead.num_rows:
                yield Frame(batch.dead_bucket, Kind.DEAD, split.partition, batch.latest, pack(batch.dead))
        if latest > BEGINNING:
            for bucket in range(self.buckets):
                yield Frame(bucket, Kind.TIME, split.partition, latest)
