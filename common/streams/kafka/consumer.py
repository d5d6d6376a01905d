"""Reading records of a broker; only those count that are committed."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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


class Lent:
    """A consumer that is on loan.

    Args:
        make: Makes a new one.
        consumer: One that is there already, if any.
    """

    def __init__(self, make: Callable[[], Consumer], consumer: Consumer | None) -> None:
        self._make = make
        self.consumer = consumer or make()

    def renew(self) -> None:
        """Replaces it: one that was kept may know a broker or a topic that is no longer there."""
        self.consumer.close()
        self.consumer = self._make()


class Consumers:
    """Consumers of a process that are kept from one reader to the next: a new one first has to find the broker."""

    def __init__(self) -> None:
        self._idle: defaultdict[tuple[Any, ...], list[Consumer]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, address: Address, **settings: Any) -> Iterator[Lent]:
        """A consumer, as `committed_records` gives one, for one reader at a time; after an error it is not kept."""
        # A process that was forked has its parent's consumers, but not the threads that do their work.
        idle = self._idle[os.getpid(), address, tuple(sorted(settings.items()))]
        with self._lock:
            kept = idle.pop() if idle else None
        lent = Lent(partial(_consumer, address, **settings), kept)
        try:
            yield lent
            lent.consumer.unassign()
        except BaseException:
            lent.consumer.close()
            raise
        with self._lock:
            idle.append(lent.consumer)


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
