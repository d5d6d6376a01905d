"""How long a session takes to the output topic, from the record that closed it on; all by the broker's timestamps.

A session closes when the watermark passes its end: when the last partition has a record late enough. That record's
timestamp is when it was sent. The job itself is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, Message, TopicPartition

from common.contracts.contract import load
from common.streams.kafka.address import GROUP, Address
from common.streams.kafka.source import KafkaSource
from common.streams.kafka.wire import Part

Ints = npt.NDArray[np.int64]
SESSIONS = "ad-sessions"
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Partition:
    """What one partition of the input brought.

    Attributes:
        latest: The latest event time up to each record, in epoch ms.
        sent: When each record was sent, in epoch ms.
    """

    latest: Ints
    sent: Ints

    def passed(self, times: Ints) -> Ints:
        """When the first record with at least each of these event times was sent; `NEVER` where there is none."""
        return np.append(self.sent, NEVER)[np.searchsorted(self.latest, times)]


@dataclass(frozen=True)
class Sessions:
    """Sessions as they came out.

    Attributes:
        ends: Where each ends, in event time, in epoch ms.
        written: When its record was sent, inside the step's transaction, in epoch ms.
        seen: When a `read_committed` reader had it, in epoch ms.
    """

    ends: Ints
    written: Ints
    seen: Ints


def closed(partitions: Iterable[Partition], ends: Ints, out_of_orderness: int) -> Ints:
    """When the record was sent that moved the watermark to each of these ends (SEMANTICS.md, "Session")."""
    return np.max([partition.passed(ends + out_of_orderness + 1) for partition in partitions], axis=0)


def input_partitions(address: Address, streams: tuple[str, ...]) -> list[Partition]:
    """Reads all that stands in the input topics."""
    source = KafkaSource.at(address, streams)
    ends = {name: end for name, end in source.ends().items() if end}
    parts = {stream: Part(address.registry, load(stream), "value") for stream in streams}
    times: dict[str, list[tuple[int, int]]] = {name: [] for name in ends}
    consumer = consumer_of(address)
    consumer.assign([TopicPartition(*_split(name), 0) for name in ends])
    while any(len(times[name]) < end for name, end in ends.items()):
        for message in consumer.consume(10_000, 1.0):
            if message.error() is not None:
                continue  # the client connects again by itself
            rows = times[f"{message.topic()}/{message.partition()}"]
            rows.append((parts[message.topic()].decode(message.value())["createdEventTime"], message.timestamp()[1]))
    consumer.close()
    columns = (np.array(rows, dtype=np.int64).T for rows in times.values())
    return [Partition(np.maximum.accumulate(time), sent) for time, sent in columns]


def sessions_of(address: Address, messages: Iterable[tuple[Message, int]]) -> Sessions:
    """Decodes what a reader of the output topic has seen: each record, and when."""
    key = Part(address.registry, load(SESSIONS), "key")
    rows = [(_end(key.decode(message.key())), message.timestamp()[1], seen) for message, seen in messages]
    return Sessions(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)


def consumer_of(address: Address) -> Consumer:
    """A `read_committed` reader that commits no offsets."""
    return Consumer(
        address.client(
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_wait_max_ms=10,
        )
    )


def _end(key: Mapping[str, Mapping[str, int]]) -> int:
    return key["window"]["end"]


def _split(name: str) -> tuple[str, int]:
    stream, _, number = name.rpartition("/")
    return stream, int(number)
