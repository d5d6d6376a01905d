"""A broker as the place where corrected records are put back: one transaction a replay.

The stream `replayed-letters` holds which letters were put back. It is written in the same transaction, so a letter whose
record is there is noted there. A second replay at the same time fences the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from common.contracts.contract import load, streams
from common.operators.step import END
from common.streams.kafka import admin, topics
from common.streams.kafka.address import Address
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.sink import KafkaSink
from common.streams.kafka.source import KafkaSource
from common.streams.letters import Identity
from common.streams.putting_back import replayed_records
from common.streams.staging import step_name

JOB = "replay"
"""The name under which replays are known to a broker."""
REPLAYED = "replayed-letters"
SPLIT_BYTES = 64 * 2**20


def committed(address: Address, stream: str) -> Iterator[pa.Table]:
    """All records that a stream on a broker holds.

    Raises:
        AdstreamError: The broker or the registry is not reached (`UNAVAILABLE`), or denies it.
    """
    source = KafkaSource.at(address, (stream,))
    for split in source.everything(SPLIT_BYTES):
        for decoded in read_kafka(split, load(stream), END):
            yield decoded.records


@dataclass(frozen=True)
class Topics:
    """The streams of a broker.

    Attributes:
        sink: The sink of replays.
    """

    sink: KafkaSink

    @classmethod
    def open(cls, address: Address, scratch: Path) -> Topics:
        """Takes over what replays write; makes what they need on the broker.

        Args:
            address: The broker.
            scratch: A folder for what waits for its transaction.

        Raises:
            AdstreamError: The broker or the registry is not reached (`UNAVAILABLE`), or denies it.
        """
        list(admin.create(address, (REPLAYED,)))
        topics.create(address, topics.internal_topics(JOB))
        sink = KafkaSink(address, JOB, str(scratch), {stream: load(stream) for stream in streams()})
        sink.recover("0")
        return cls(sink)

    def replayed(self) -> frozenset[Identity]:
        """As `Destination.replayed`."""
        rows = (table["value"].to_pylist() for table in committed(self.sink.address, REPLAYED))
        return frozenset(Identity(**row) for part in rows for row in part)

    def put(self, records: Mapping[str, pa.Table], letters: Sequence[Identity]) -> None:
        """As `Destination.put`.

        Raises:
            AdstreamError: The broker does not take it, or another replay has taken over.
        """
        step = step_name(self.sink.delivered() + 1)
        with self.sink.writer(step, "replay") as writer:
            writer.write({**records, REPLAYED: replayed_records(letters)})
        self.sink.deliver(step, writer.parts)
