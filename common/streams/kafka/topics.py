"""Topics as they should be, from contracts, and as a broker has them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from common.contracts.contract import Contract
from common.streams.kafka.address import Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.sink import marker_topic

TIMEOUT_SECONDS = 30.0
REACH_SECONDS = 10.0
"""How long a broker has to be reached for the first time."""
POLL_SECONDS = 0.2
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
            try:
                found[name] = _described(admin, name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
    return found


def _described(admin: AdminClient, name: str) -> Topic:
    topic = admin.list_topics(topic=name, timeout=REACH_SECONDS).topics[name]
    if topic.error is not None:
        raise KafkaException(topic.error)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    described = admin.describe_configs([resource], request_timeout=TIMEOUT_SECONDS)[resource].result()
    return Topic(name, len(topic.partitions), {key: entry.value for key, entry in described.items()})


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
        new = [_new(topic) for topic in missing]
        for name, future in admin.create_topics(new, request_timeout=TIMEOUT_SECONDS).items():
            with told_plainly(address, f"stream '{name}': creating it"):
                future.result()
        _heard_of(address, [topic.name for topic in missing], there=True)
    return [topic.name for topic in missing]


def recreate(address: Address, topics: Iterable[Topic]) -> None:
    """Deletes topics with all that is in them, and makes them again, empty.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), denies it, or takes too long.
    """
    admin, wanted = AdminClient(address.client()), list(topics)
    # All are asked for, whether they seem to be there or not: a broker hears of a new topic a moment later.
    for name, future in admin.delete_topics([topic.name for topic in wanted], request_timeout=TIMEOUT_SECONDS).items():
        with told_plainly(address, f"stream '{name}': deleting it"):
            _delete(future)
    _heard_of(address, [topic.name for topic in wanted], there=False)
    for topic in wanted:
        with told_plainly(address, f"stream '{topic.name}': creating it"):
            _create_once_gone(admin, topic)
    _heard_of(address, [topic.name for topic in wanted], there=True)


def _heard_of(address: Address, names: Iterable[str], *, there: bool) -> None:
    """Waits until the brokers know what the controller has done: that topics are there, or gone."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    waiting = set(names)
    while waiting and time.monotonic() < deadline:
        found = existing(address, waiting)
        waiting = {name for name in waiting if (name in found) is not there}
        if waiting:
            time.sleep(POLL_SECONDS)


def _delete(deletion: Future[None]) -> None:
    try:
        deletion.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise


def _create_once_gone(admin: AdminClient, topic: Topic) -> None:
    """Makes a topic that was deleted just now, as soon as the broker is rid of it."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            admin.create_topics([_new(topic)], request_timeout=TIMEOUT_SECONDS)[topic.name].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def _new(topic: Topic) -> NewTopic:
    """The request for a topic; how often it is replicated is the broker's own setting."""
    return NewTopic(topic.name, num_partitions=topic.partitions, config=dict(topic.config))


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
