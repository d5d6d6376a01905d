"""Reading records of a broker; only those count that are committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from common.streams.kafka.address import GROUP, Address


@contextmanager
def committed_records(address: Address, **settings: Any) -> Iterator[Consumer]:
    """A consumer of committed records, which is closed at the end. It commits no offsets.

    Args:
        address: The broker.
        settings: As `Address.client` takes them.

    Raises:
        KafkaException: The client can't be made.
    """
    config = address.client(group_id=GROUP, enable_auto_commit=False, isolation_level="read_committed", **settings)
    consumer = Consumer(config)
    try:
        yield consumer
    finally:
        consumer.close()


def next_offset(consumer: Consumer, start: TopicPartition) -> int:
    """The offset that a consumer reads next of a partition, which it was assigned from `start` on.

    Behind the last record of a transaction stands its marker, which is no record: so this, and not the last
    record's offset, tells how far the consumer is.
    """
    offset = consumer.position([start])[0].offset
    return int(offset if offset >= 0 else start.offset)
