"""Letting a job begin anew: what it keeps is dropped, its own only."""

from __future__ import annotations

from collections.abc import Iterable

from common.contracts.contract import load
from common.runtime.checkpoint import Checkpoint
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.streams.kafka import topics
from common.streams.kafka.address import Address
from common.streams.source import BROKER


def forget(spec: JobSpec) -> None:
    """Drops a job's checkpoint and its internal streams; its outputs stay.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    # The internal streams first: without a checkpoint, but with the marker of its last step, a job refuses to run.
    if spec.sink.startswith(BROKER):
        topics.recreate(Address.parse(spec.sink), topics.internal_topics(spec.identity))
    Checkpoint(spec.checkpoint).clear(spec.workplace)


def empty(spec: JobSpec, streams: Iterable[str]) -> None:
    """Drops all records of a job's output streams.

    Args:
        spec: The job, as it was run last.
        streams: Which of its outputs, where they are on a broker; in a folder they are all its own.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    if spec.sink.startswith(BROKER):
        topics.recreate(Address.parse(spec.sink), [topics.topic_of(load(stream)) for stream in streams])
    else:
        Run.open(spec).sink.clear()
