"""Frames: the few fat rows that engines shuffle instead of many thin ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from common.operators.step import BEGINNING


class Kind(str, Enum):
    """What a frame carries."""

    EVENTS = "events"
    """A batch of a stage's events of one bucket."""
    TIME = "time"
    """No rows: the latest event time of one partition, sent to every bucket."""
    DEAD = "dead"
    """Dead letters of one split, sent to one bucket."""


@dataclass(frozen=True)
class Frame:
    """Rows of one bucket, packed as an Arrow IPC stream.

    Attributes:
        bucket: Where it goes.
        kind: What it carries.
        partition: The partition (of a source stream) it was read from; empty for what a stage gave.
        latest: The latest event time in it, in epoch ms; `BEGINNING` for none.
        payload: The rows; empty in a `TIME` frame.
        stage: The stage whose events it carries; empty in a `TIME` or `DEAD` frame.
        order: Sorts the frames of a stage; those of one partition as their rows stand in it.
        records: How many records of the input it accounts for.
    """

    bucket: int
    kind: Kind
    partition: str
    latest: int = BEGINNING
    payload: bytes = b""
    stage: str = ""
    order: str = ""
    records: int = 0


@dataclass(frozen=True)
class Onward:
    """Events on their way to a bucket.

    Attributes:
        stage: The stage that they are for.
        bucket: The bucket.
        order: As `Frame.order`.
        events: The events, in the stage's event schema.
    """

    stage: str
    bucket: int
    order: str
    events: pa.Table

    def frame(self, partition: str = "", latest: int = BEGINNING, records: int = 0) -> Frame:
        """They as a frame; arguments as the attributes of `Frame`."""
        return Frame(self.bucket, Kind.EVENTS, partition, latest, pack(self.events), self.stage, self.order, records)


def pack(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream, in one batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def unpack(payload: bytes) -> pa.Table:
    """The table that `pack` packed; it reads from the payload without a copy."""
    return pa.ipc.open_stream(pa.py_buffer(payload)).read_all()


def latest_by_partition(frames: Iterable[Frame]) -> dict[str, int]:
    """What a step's `TIME` frames say, for `Clock.observe`: partitions with events only."""
    return latest_of((frame.partition, frame.latest) for frame in frames if frame.kind is Kind.TIME)


def latest_of(times: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The latest of the times (epoch ms) that are given with each partition."""
    latest: dict[str, int] = {}
    for partition, time in times:
        latest[partition] = max(time, latest.get(partition, time))
    return latest
