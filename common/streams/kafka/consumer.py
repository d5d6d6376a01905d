"""Reading records of a broker; only those count that are committed."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
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
    consumer = _consumer(address, **settings)
    try:
        yield consumer
    finally:
        consumer.close()


class Consumers:
    """Consumers of a process that are kept from one reader to the next: a new one first has to find the broker."""

    def __init__(self) -> None:
        self._idle: defaultdict[tuple[Any, ...], list[Consumer]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, address: Address, **settings: Any) -> Iterator[Consumer]:
        """A consumer, as `committed_records` gives one, for one reader at a time; after an error it is not kept."""
        # A process that was forked has its parent's consumers, but not the threads that do their work.
        idle = self._idle[os.getpid(), address, tuple(sorted(settings.items()))]
        consumer = self._taken(idle) or _consumer(address, **settings)
        try:
            yield consumer
            consumer.unassign()
        except BaseException:
            consumer.close()
            raise
        idle.append(consumer)

    def _taken(self, idle: list[Consumer]) -> Consumer | None:
        with self._lock:
            return idle.pop() if idle else None


def _consumer(address: Address, **settings: Any) -> Consumer:
    return Consumer(
        address.client(group_id=GROUP, enable_auto_commit=False, isolation_level="read_committed", **settings)
    )


def next_offset(consumer: Consumer, start: TopicPartition) -> int:
    """The offset that a consumer reads next of a partition, which it was assigned from `start` on.

    Behind the last record of a transaction stands its marker, which is no record: so this, and not the last
    record's offset, tells how far the consumer is.
    """
    offset = consumer.position([start])[0].offset
    return int(offset if offset >= 0 else start.offset)
