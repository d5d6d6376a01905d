"""What must hold on a broker before a job starts; each check fails with one line, and no engine is started for it."""

from __future__ import annotations

from collections.abc import Iterable

from common.runtime.checkpoint import SCHEMAS, Manifest
from common.runtime.run import Run
from common.streams.folder import Position
from common.streams.kafka.address import Address
from common.streams.kafka.permissions import check_allowed, permissions
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.source import KafkaSource, partition_counts
from common.streams.kafka.topics import internal_topics
from common.streams.source import BROKER


def check_broker(run: Run, kept: Manifest | None) -> None:
    """Makes the checks of the streams that a run reads from a broker and writes to one.

    The schemas that it will need are then kept beside its checkpoint.

    Args:
        run: The run.
        kept: The checkpoint with which it goes on; None where it begins anew.

    Raises:
        AdstreamError: A broker or a registry is not reached (`UNAVAILABLE`); a stream or a schema is missing;
            records expired unread; partitions are not as they were or should be; the sink is ahead of the checkpoint.
    """
    if run.spec.input.startswith(BROKER):
        source = KafkaSource.open(run.spec.input, run.plan.sources)
        if run.settings.copartition == "required":
            source.check_copartitioned()
        source.starts(kept.position if kept else Position())
        _schemas(run, source.address).fetch(read=run.plan.sources, written=())
    if run.spec.sink.startswith(BROKER):
        address = Address.parse(run.spec.sink)
        partition_counts(address, _written(run))
        _schemas(run, address).fetch(read=(), written=run.plan.sinks)
        if kept is not None:
            run.check_sink(kept)  # before it fences a run that is further


def check_permissions(run: Run) -> None:
    """Asks the brokers whether they let this principal do all that the job does.

    Raises:
        AdstreamError: They don't, or one is not reached (`UNAVAILABLE`).
    """
    read, written = set(run.plan.sources), set(_written(run))
    places = [(run.spec.input, read), (run.spec.sink, written)]
    for place, names in places:
        if place.startswith(BROKER):
            check_allowed(
                Address.parse(place), [each for each in permissions(run.spec.topology()) if each.name in names]
            )


def _written(run: Run) -> Iterable[str]:
    return (*run.spec.topics(run.plan).values(), *(topic.name for topic in internal_topics(run.spec.identity)))


def _schemas(run: Run, address: Address) -> Schemas:
    return Schemas(address.registry, str(run.spec.workplace / SCHEMAS))
