"""Streams on a broker, from their contracts: topics and schemas, created, compared and described."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.config.jobs import jobs, settings_type, topology_of
from common.contracts.contract import load, streams
from common.names import pick
from common.streams.kafka import subjects, topics
from common.streams.kafka.address import Address
from common.streams.kafka.source import KafkaSource
from common.topology.graph import sinks


@dataclass(frozen=True)
class Created:
    """What `create` had to do for a stream.

    Attributes:
        stream: The name of the stream.
        topic: Whether its topic was missing.
        schemas: How many of its schemas were missing.
    """

    stream: str
    topic: bool
    schemas: int


@dataclass(frozen=True)
class Partition:
    """A partition of a stream: its number, its first offset, and the one behind its last record."""

    number: int
    first: int
    end: int


def internal_streams() -> dict[str, topics.Topic]:
    """The internal streams of all jobs, by name. They have no contract: no one else reads them."""
    writers = (job for job in jobs() if sinks(topology_of(job, settings_type(job)())))
    return {topic.name: topic for job in writers for topic in topics.internal_topics(job)}


def shared_outputs(job: str) -> frozenset[str]:
    """The streams that another job writes too."""
    others = (topology_of(name, settings_type(name)()) for name in jobs() if name != job)
    return frozenset(stream for topology in others for stream in sinks(topology))


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The streams that were named, or all there are, internal ones too.

    Raises:
        AdstreamError: There is no such stream.
    """
    known = (*streams(), *internal_streams())
    return tuple(pick("stream", name, known) for name in names) or known


def create(address: Address, names: Iterable[str]) -> Iterator[Created]:
    """Makes what is missing of streams; nothing that is there is changed. Gives each when it is there.

    Schemas come first: whoever sees the topic finds them.

    Args:
        address: The broker and its registry.
        names: The streams; all for none.

    Raises:
        AdstreamError: The broker or the registry is not reached (`UNAVAILABLE`), or refuses.
    """
    for name in chosen(names):
        topic, wanted = _wanted(name)
        registered = sum(subjects.register(address.registry, subject) for subject in wanted)
        yield Created(name, bool(topics.create(address, [topic])), registered)


def differences(address: Address, names: Iterable[str]) -> list[str]:
    """In what streams are not what their contracts say, one line each.

    Args:
        address: The broker and its registry.
        names: The streams; all for none.

    Raises:
        AdstreamError: The broker or the registry is not reached (`UNAVAILABLE`), or denies it.
    """
    wanted = chosen(names)
    there = topics.existing(address, wanted)
    problems: list[str] = []
    for name in wanted:
        topic, schemas = _wanted(name)
        problems += topics.differences(topic, there.get(name))
        for subject in schemas:
            problems += subjects.differences(subject, subjects.found(address.registry, subject.name))
    return problems


def partitions(address: Address, stream: str) -> tuple[Partition, ...]:
    """The partitions of a stream on a broker.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), lacks the stream, or denies it.
    """
    source = KafkaSource.at(address, (stream,))
    firsts, ends = source.firsts(), source.ends()
    return tuple(
        Partition(number, firsts[partition], ends[partition]) for number, partition in enumerate(source.partitions)
    )


def _wanted(name: str) -> tuple[topics.Topic, tuple[subjects.Subject, ...]]:
    internal = internal_streams()
    if name in internal:
        return internal[name], ()
    return topics.topic_of(load(name)), subjects.subjects_of(name)
