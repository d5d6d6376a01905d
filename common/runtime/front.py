"""The stateless front of a job: splits of files to frames, by the same code on every engine."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
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
class Front:
    """Reads splits, applies the inlets' functions, and packs what comes out by bucket.

    Attributes:
        plan: The job's plan.
        contracts: The contract of each source stream.
        buckets: How many buckets the job has.
        max_future_skew: How far ahead of the clock an event may be, in ms.
    """

    plan: Plan
    contracts: dict[str, Contract]
    buckets: int
    max_future_skew: int

    def events(self, split: Split, now: int) -> Iterator[tuple[pa.Table, pa.Table]]:
        """The operator's events in a split, and the dead letters, batch by batch.

        Args:
            split: What to read.
            now: The wall clock, in epoch ms: events more than `max_future_skew` ahead are dead.
        """
        inlet = self.plan.inlet(split.stream)
        for decoded in read(split, self.contracts[split.stream], now + self.max_future_skew):
            yield inlet.apply(decoded.records), decoded.dead

    def frames(self, split: Split, now: int) -> Iterator[Frame]:
        """The frames of a split: events by bucket, dead letters, and last its time for every bucket."""
        latest = BEGINNING
        for events, dead in self.events(split, now):
            if events.num_rows:
                latest = max(latest, pc.max(events["eventTime"]).as_py())
            for bucket, rows in split_by_bucket(events, self.plan.key, self.buckets).items():
                yield Frame(bucket, Kind.EVENTS, split.stream, latest, pack(rows))
            if dead.num_rows:
                yield Frame(zlib.crc32(split.path.encode()) % self.buckets, Kind.DEAD, split.stream, latest, pack(dead))
        if latest > BEGINNING:
            for bucket in range(self.buckets):
                yield Frame(bucket, Kind.TIME, split.stream, latest)
