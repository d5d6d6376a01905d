"""Topics as they should be, from contracts, and as a broker has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from common.contracts.contract import Contract
from common.streams.kafka.address import Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.sink import marker_topic

TIMEOUT_SECONDS = 30.0
FOR_EVER = "-1"


@dataclass(frozen=True)
class Topic:
    """A topic.

    Attributes:
        name: Its name.
        partitions: How many partitions it has.
        config: What is set, by Kafka's names ("Topic-level configs"). Of a topic on a broker, all there is.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def topic_of(contract: Contract) -> Topic:
    """The topic of a stream, as its contract wants it."""
    meta = contract.meta
    # A compacted stream with a retention also drops keys that nobody has written for so long.
    policies = ["compact"] * meta.compaction + ["delete"] * (meta.retention is not None or not meta.compaction)
    retention = FOR_EVER if meta.retention is None else str(meta.retention)
    return Topic(contract.stream, meta.partitions, {"cleanup.policy": ",".join(policies), "retention.ms": retention})


def internal_topics(job: str) -> tuple[Topic, ...]:
    """The topics that only a job itself reads and writes."""
    return (Topic(marker_topic(job), 1, {"cleanup.policy": "compact", "retention.ms": FOR_EVER}),)


def existing(address: Address, names: Iterable[str]) -> dict[str, Topic]:
    """Those of the topics that a broker has, with their whole configuration.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    admin, found = AdminClient(address.client()), {}
    for name in names:
        with told_plainly(address, f"stream '{name}': reading its configuration"):
            topic = admin.list_topics(topic=name, timeout=TIMEOUT_SECONDS).topics[name]
            if topic.error is not None:
                if topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise KafkaException(topic.error)
            resource = ConfigResource(ConfigResource.Type.TOPIC, name)
            described = admin.describe_configs([resource], request_timeout=TIMEOUT_SECONDS)[resource].result()
            config = {key: entry.value for key, entry in described.items()}
            found[name] = Topic(name, len(topic.partitions), config)
    return found


def create(address: Address, topics: Iterable[Topic]) -> list[str]:
    """Makes those that the broker lacks, with its own replication; gives their names.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    wanted = list(topics)
    there = existing(address, (topic.name for topic in wanted))
    missing = [topic for topic in wanted if topic.name not in there]
    if missing:
        admin = AdminClient(address.client())
        new = [NewTopic(topic.name, num_partitions=topic.partitions, config=dict(topic.config)) for topic in missing]
        for name, future in admin.create_topics(new, request_timeout=TIMEOUT_SECONDS).items():
            with told_plainly(address, f"stream '{name}': creating it"):
                future.result()
    return [topic.name for topic in missing]


def delete(address: Address, names: Iterable[str]) -> None:
    """Deletes topics with all that is in them.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    admin = AdminClient(address.client())
    for name, future in admin.delete_topics(list(names), request_timeout=TIMEOUT_SECONDS).items():
        with told_plainly(address, f"stream '{name}': deleting it"):
            future.result()


def differences(wanted: Topic, found: Topic | None) -> Iterator[str]:
    """In what a broker's topic is not what it should be, one line each."""
    if found is None:
        yield f"stream '{wanted.name}': the broker does not have it"
        return
    if found.partitions != wanted.partitions:
        yield f"stream '{wanted.name}': {found.partitions} partitions, its contract says {wanted.partitions}"
    for name, value in wanted.config.items():
        given = found.config.get(name, "unset")
        if _as_set(given) != _as_set(value):
            yield f"stream '{wanted.name}': {name} is {given}, its contract says {value}"


def _as_set(value: str) -> set[str]:
    """A list-valued setting has no order."""
    return set(value.split(","))
