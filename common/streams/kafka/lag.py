"""How far a job is behind its input streams."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, TopicPartition

from common.streams.kafka.consumer import committed_records
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.source import KafkaSource

PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Lag:
    """How far a job is behind a partition.

    Attributes:
        partition: The partition, as `stream/number`.
        taken: The offset that the job takes next.
        events: How many offsets it is behind; the end of each transaction counts as one.
        expired: How many of them are no longer on the broker.
        waiting_ms: How long the next record has been on the broker, in ms; None where none can be read.
    """

    partition: str
    taken: int
    events: int
    expired: int
    waiting_ms: int | None


def lags(source: KafkaSource, taken: Mapping[str, int]) -> tuple[Lag, ...]:
    """How far a job is behind each partition.

    Args:
        source: The input streams.
        taken: The offset that the job takes next, by partition.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    firsts, ends = source.firsts(), source.ends()
    behind = {name: max(at, firsts[name]) for name, at in taken.items() if ends[name] > max(at, firsts[name])}
    written = _written(source, behind)
    now = time.time_ns() // 1_000_000
    return tuple(
        Lag(
            partition=name,
            taken=taken[name],
            events=max(ends[name] - taken[name], 0),
            expired=max(firsts[name] - taken[name], 0),
            waiting_ms=0 if name not in behind else max(now - written[name], 0) if name in written else None,
        )
        for name in source.partitions
    )


def _written(source: KafkaSource, offsets: Mapping[str, int]) -> dict[str, int]:
    """When the first record from an offset on was written, in epoch ms, by partition; not those that have none."""
    found: dict[str, int] = {}
    if not offsets:
        return found
    with (
        told_plainly(source.address, "reading the streams' next records"),
        committed_records(source.address, auto_offset_reset="earliest") as consumer,
    ):
        consumer.assign([_at(name, offset) for name, offset in offsets.items()])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found) < len(offsets) and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            name = f"{message.topic()}/{message.partition()}"
            kind, time_ms = message.timestamp()
            if kind != TIMESTAMP_NOT_AVAILABLE:
                found.setdefault(name, time_ms)
            # One record of each is enough: the others must not wait behind the rest of this one.
            consumer.pause([_at(name, message.offset())])
    return found


def _at(partition: str, offset: int) -> TopicPartition:
    stream, _, number = partition.rpartition("/")
    return TopicPartition(stream, int(number), offset)
