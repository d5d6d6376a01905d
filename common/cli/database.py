"""What the commands share that bring data out of databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.options import duration
from common.cli.services import stack
from common.contracts.contract import Contract
from common.streams.sink import Sink, open_sink

DatabaseUrl = Annotated[
    str,
    Parameter(
        name="--database",
        env_var="ADSTREAM_DATABASE",
        show_default=False,
        help="postgresql://USER@HOST:PORT/NAME; that of the local services if absent.",
    ),
]
BrokerSink = Annotated[
    str,
    Parameter(help="A broker that gets it in the place of OUTPUT, kafka://HOST:PORT?registry=URL.", show_default=False),
]
Every = Annotated[
    str, Parameter(help="Go on for ever, and look this often for what is new, such as 10s.", show_default=False)
]


def url_of(database: str) -> str:
    """The database that was given, or that of the local services.

    Raises:
        AdstreamError: None was given, and the services do not run.
    """
    return database or stack(None).endpoint("postgres", "url")


def sink_of(
    job: str,
    contracts: dict[str, Contract],
    output: Path,
    sink: str,
    format: str,  # noqa: A002 the option's name
) -> Sink:
    """Where records go: the broker, with the internal stream that it keeps the steps in, or the folder.

    Args:
        job: The name under which the writer is known to a broker.
        contracts: The contract of every stream that it writes.
        output: The folder.
        sink: The address of the broker; empty for none.
        format: How files are written.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or the format is unknown.
    """
    if not sink:
        return open_sink(output, format, contracts)
    # Only a run on a broker needs its client, which not every installation has.
    opened = import_module("common.streams.kafka.sink").open_kafka_sink(sink, job, str(output), contracts)
    topics = import_module("common.streams.kafka.topics")
    topics.create(opened.address, topics.internal_topics(job))
    return opened


def turns(pause: float | None) -> Iterator[None]:
    """A turn to look for what is new; further ones for ever, with pauses in between, unless there is none.

    Args:
        pause: As `pause_of` gives it.
    """
    yield
    while pause is not None:
        time.sleep(pause)
        yield


def pause_of(every: str) -> float | None:
    """Seconds between two reads; None for a single one.

    Raises:
        AdstreamError: It is not a duration.
    """
    return duration("--every", every) / 1000 if every else None
