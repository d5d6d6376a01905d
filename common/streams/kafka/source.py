"""Topics as the input of a job: a step is a range of offsets of every partition.

Offsets of a split are Kafka's: `start` the first record, `stop` the one behind the last. Only what is
committed counts: a step ends before the first open transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from common.errors import AdstreamError
from common.streams.folder import Arrivals, Position, Split
from common.streams.kafka.address import Address
from common.streams.kafka.errors import told_plainly

STEP_RECORDS = 100_000
"""How many records of a partition a step takes at most."""
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class KafkaSource:
    """The input streams of a job on one broker. It can be pickled.

    Attributes:
        address: The broker.
        streams: The topics.
        counts: How many partitions each of them has.
    """

    address: Address
    streams: tuple[str, ...]
    counts: Mapping[str, int]

    @classmethod
    def open(cls, url: str, streams: tuple[str, ...]) -> KafkaSource:
        """Asks the broker for the streams' partitions.

        Raises:
            AdstreamError: The broker is not reached (`UNAVAILABLE`), or lacks a stream.
        """
        return cls.at(Address.parse(url), streams)

    @classmethod
    def at(cls, address: Address, streams: tuple[str, ...]) -> KafkaSource:
        """As `open`, with the address already read."""
        admin = _admin(address)
        counts = {}
        for stream in streams:
            # Asked for by name: in a list of all, what is denied is left out as if it did not exist.
            with told_plainly(address, f"stream '{stream}': reading its partitions"):
                topic = admin.list_topics(topic=stream, timeout=TIMEOUT_SECONDS).topics[stream]
                if topic.error is not None:
                    raise KafkaException(topic.error)
            counts[stream] = len(topic.partitions)
        return cls(address, tuple(streams), counts)

    @property
    def partitions(self) -> tuple[str, ...]:
        """Every partition of every stream, as `stream/number`."""
        return tuple(f"{stream}/{number}" for stream, count in self.counts.items() for number in range(count))

    def next_step(self, position: Position) -> Arrivals | None:
        """What has arrived behind a position; None if nothing has.

        Raises:
            AdstreamError: Records that were not taken are gone, or a stream has other partitions than it had.
        """
        starts, ends = self._starts(position), self.ends()
        splits = tuple(
            self._split(partition, starts[partition], min(ends[partition], starts[partition] + STEP_RECORDS))
            for partition in self.partitions
            if ends[partition] > starts[partition]
        )
        if not splits:
            return None
        taken = {split.partition: split.stop for split in splits}
        return Arrivals(splits, Position({**starts, **taken}, {}))

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """All records that there are, in splits of `STEP_RECORDS`.

        Args:
            split_bytes: Not used: the size of records is not known before they are read.
        """
        firsts, ends = self.firsts(), self.ends()
        return tuple(
            self._split(partition, start, min(ends[partition], start + STEP_RECORDS))
            for partition in self.partitions
            for start in range(firsts[partition], ends[partition], STEP_RECORDS)
        )

    def planned(self, position: Position) -> bool:
        """As `Source.planned`: what has arrived by now is not what had arrived then."""
        return False

    def settled(self, position: Position) -> None:
        """As `Source.settled`."""

    def _split(self, partition: str, start: int, stop: int) -> Split:
        stream, _, number = partition.rpartition("/")
        return Split(stream, self.address.partition_url(stream, int(number)), start, stop, int(number))

    def _starts(self, position: Position) -> dict[str, int]:
        if not position.counts:
            return self.beginning(self.address.start)
        firsts = self.firsts()
        if set(position.counts) != set(self.partitions):
            had, has = len(position.counts), len(self.partitions)
            raise AdstreamError(
                f"the streams {', '.join(self.streams)} have {has} partitions, the checkpoint knows {had}",
                "keys have moved: reprocess into new streams, or put the partitions back",
            )
        for partition, taken in position.counts.items():
            if taken < firsts[partition]:
                lost = firsts[partition] - taken
                raise AdstreamError(
                    f"partition '{partition}': offset {taken} is next, but the topic begins at {firsts[partition]}: "
                    f"{lost} records expired unread",
                    "adstream offsets advance JOB accepts the loss",
                )
        return dict(position.counts)

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


def _admin(address: Address) -> AdminClient:
    return AdminClient(address.client())
