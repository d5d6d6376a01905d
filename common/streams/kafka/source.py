"""Topics as the input of a job: a step is a range of offsets of every partition.

Offsets of a split are Kafka's: `start` the first record, `stop` the one behind the last. Only what is
committed counts: a step ends before the first open transaction.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from common.errors import AdstreamError
from common.retry import OUTAGE_SECONDS, retry
from common.streams.folder import Arrivals, Position, Split
from common.streams.kafka.address import Address, PartitionPath
from common.streams.kafka.errors import ACCEPT, told_plainly

STEP_RECORDS = 100_000
"""How many records of a partition a step takes at most."""
RECORD_BYTES = 100
"""What a record takes, for a guess at how many make a split."""
TIMEOUT_SECONDS = 10.0

log = logging.getLogger("adstream")


@dataclass(frozen=True)
class KafkaSource:
    """The input streams of a job on one broker. It can be pickled.

    Attributes:
        address: The broker.
        streams: The topics.
        counts: How many partitions each of them has.
        schemas: The folder in which their schemas are kept; empty for nowhere.
        latest: Where their partitions ended when it was opened, if a job is to begin with the latest records: were
            it asked at each look, what comes between two of them would be passed over. Empty for any other `start`.
    """

    address: Address
    streams: tuple[str, ...]
    counts: Mapping[str, int]
    schemas: str = ""
    latest: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, url: str, streams: tuple[str, ...], schemas: str = "") -> KafkaSource:
        """Asks the broker for the streams' partitions.

        Raises:
            AdstreamError: The broker is not reached (`UNAVAILABLE`), or lacks a stream.
        """
        return cls.at(Address.parse(url), streams, schemas)

    @classmethod
    def at(cls, address: Address, streams: tuple[str, ...], schemas: str = "") -> KafkaSource:
        """As `open`, with the address already read."""
        source = cls(address, tuple(streams), partition_counts(address, streams), schemas)
        return replace(source, latest=source.ends()) if address.start == "latest" else source

    @property
    def partitions(self) -> tuple[str, ...]:
        """Every partition of every stream, as `stream/number`."""
        return tuple(f"{stream}/{number}" for stream, count in self.counts.items() for number in range(count))

    def next_step(self, position: Position) -> Arrivals | None:
        """What has arrived behind a position; None if nothing has. A broker that is restarted is waited for.

        Raises:
            AdstreamError: Records that were not taken are gone, or a stream has other partitions than it had; or the
                broker does not come back (`UNAVAILABLE`).
        """
        return retry(lambda: self._arrived(position), OUTAGE_SECONDS, log.warning)

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """All records that there are.

        Args:
            split_bytes: About how much a split holds, if records are of `RECORD_BYTES`: their size is not known
                before they are read. No split is smaller than a step: each costs a client of its own.
        """
        firsts, ends = self.firsts(), self.ends()
        size = max(split_bytes // RECORD_BYTES, STEP_RECORDS)
        return tuple(
            self._split(partition, start, min(ends[partition], start + size))
            for partition in self.partitions
            for start in range(firsts[partition], ends[partition], size)
        )

    def starts(self, position: Position) -> dict[str, int]:
        """The offset of every partition at which a step begins.

        Raises:
            AdstreamError: Records that were not taken are gone, or a stream has other partitions than it had.
        """
        if not position.counts:
            return dict(self.latest) or self.beginning(self.address.start)
        self.check_partitions(position)
        firsts = self.firsts()
        lost = {name: firsts[name] - taken for name, taken in position.counts.items() if taken < firsts[name]}
        if lost:
            name = max(lost, key=lambda each: lost[each])
            raise AdstreamError(
                f"up to {sum(lost.values()):,} records of {len(lost)} partitions expired unread, most of them in "
                f"'{name}': offset {position.counts[name]} is next, but it begins at {firsts[name]}",
                ACCEPT,
            )
        return dict(position.counts)

    def check_partitions(self, position: Position) -> None:
        """Refuses streams that have other partitions than they had.

        Raises:
            AdstreamError: They have; a position before the first step has none.
        """
        known = Counter(name.rpartition("/")[0] for name in position.counts)
        for stream, count in self.counts.items():
            if known and known[stream] != count:
                raise AdstreamError(
                    f"stream '{stream}' has {count} partitions, but the checkpoint knows {known[stream]}: keys have "
                    "moved between them, so the records of one key are no longer in the order of one partition",
                    "let the job begin anew (adstream reset JOB --output OUTPUT), or make the stream as it was",
                )

    def check_copartitioned(self) -> None:
        """Refuses streams that have not all as many partitions as the one that has most.

        Raises:
            AdstreamError: One has fewer.
        """
        most = max(self.counts, key=lambda stream: self.counts[stream])
        for stream, count in self.counts.items():
            if count != self.counts[most]:
                raise AdstreamError(
                    f"stream '{stream}': {count} partitions, but '{most}' has {self.counts[most]}",
                    "repartition one of them, or set copartition=any: the job brings keys together by itself",
                )

    def planned(self, position: Position) -> bool:
        """As `Source.planned`: what has arrived by now is not what had arrived then."""
        return False

    def settled(self, position: Position) -> None:
        """As `Source.settled`."""

    def _arrived(self, position: Position) -> Arrivals | None:
        replace(self, counts=partition_counts(self.address, self.streams)).check_partitions(position)
        starts, ends = self.starts(position), self.ends()
        splits = tuple(
            self._split(partition, starts[partition], min(ends[partition], starts[partition] + STEP_RECORDS))
            for partition in self.partitions
            if ends[partition] > starts[partition]
        )
        if not splits:
            return None
        taken = {split.partition: split.stop for split in splits}
        return Arrivals(splits, Position({**starts, **taken}, {}))

    def _split(self, partition: str, start: int, stop: int) -> Split:
        stream, _, number = partition.rpartition("/")
        path = PartitionPath(self.address, stream, int(number), self.schemas)
        return Split(stream, path.url(), start, stop, path.number)

    def beginning(self, start: str) -> dict[str, int]:
        """The offsets at which a job begins.

        Args:
            start: As `Address.start`: `earliest`, `latest`, or a time in epoch ms, whose first record it is.
        """
        if start == "earliest":
            return self.firsts()
        ends = self.ends()
        if start == "latest":
            return ends
        found = self._offsets(OffsetSpec.for_timestamp(int(start)))
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def firsts(self) -> dict[str, int]:
        """The first offset of every partition that has not expired."""
        return self._offsets(OffsetSpec.earliest())

    def ends(self) -> dict[str, int]:
        """The offset behind the last committed record of every partition."""
        return self._offsets(OffsetSpec.latest())

    def _offsets(self, spec: OffsetSpec) -> dict[str, int]:
        """The offset of every partition that a spec asks for."""
        asked = {}
        for partition in self.partitions:
            stream, _, number = partition.rpartition("/")
            asked[TopicPartition(stream, int(number))] = spec
        with told_plainly(self.address, "reading the streams' offsets"):
            # The client must outlive its futures: they are completed by its thread.
            admin = _admin(self.address)
            found = admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=TIMEOUT_SECONDS
            )
            return {f"{at.topic}/{at.partition}": future.result().offset for at, future in found.items()}


def partition_counts(address: Address, streams: Iterable[str]) -> dict[str, int]:
    """How many partitions streams have.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or lacks a stream.
    """
    admin = _admin(address)
    counts = {}
    for stream in streams:
        # Asked for by name: in a list of all, what is denied is left out as if it did not exist.
        with told_plainly(address, f"stream '{stream}': reading its partitions", stream):
            topic = admin.list_topics(topic=stream, timeout=TIMEOUT_SECONDS).topics[stream]
            if topic.error is not None:
                raise KafkaException(topic.error)
        counts[stream] = len(topic.partitions)
    return counts


def _admin(address: Address) -> AdminClient:
    return _client(address, os.getpid())


@cache
def _client(address: Address, process: int) -> AdminClient:
    """One client a process: a step asks it three times, and each new one would first have to find the broker."""
    return AdminClient(address.client())
