"""`adstream liberate`: rows of a database into a stream, by query."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import err, show_pairs
from common.cli.options import Format
from common.config.job import parse_duration
from common.databases.liberate import Freed, Liberator, contracts_of, job_of
from common.databases.liberation import load
from common.databases.postgres import Database
from common.engines.launch import only_writer
from common.errors import AdstreamError
from common.streams.sink import Sink, open_sink

PROGRESS = "_progress/liberation.json"

DatabaseUrl = Annotated[
    str,
    Parameter(
        name="--database", env_var="ADSTREAM_DATABASE", show_default=False, help="postgresql://USER@HOST:PORT/NAME."
    ),
]


def liberate(
    stream: Annotated[str, Parameter(help="The stream that is freed: a section of the configuration.")],
    /,
    *,
    database: DatabaseUrl,
    output: Annotated[Path, Parameter(help="The folder of the stream, and of the progress. One for each stream.")],
    config: Annotated[
        Path | None, Parameter(help="What is freed; jobs/liberate/tables.yaml if absent.", show_default=False)
    ] = None,
    sink: Annotated[
        str,
        Parameter(help="A broker that gets the stream in the place of OUTPUT, kafka://HOST:PORT.", show_default=False),
    ] = "",
    format: Format = "jsonl",  # noqa: A002 the option's name
    every: Annotated[
        str, Parameter(help="Go on for ever, and look this often for changes, such as 10s.", show_default=False)
    ] = "",
    again: Annotated[
        bool,
        Parameter(negative="", help="Free all rows anew, whatever was sent before. Deleted rows stay as they are."),
    ] = False,
) -> None:
    """Free the rows of a table or query into a stream: all of them first, then what has changed.

    The same command goes on where the last run stopped, even one that was killed. A row that breaks the contract of
    the stream goes to dead-letters.

        adstream liberate advertisements --database postgresql://postgres@127.0.0.1:5432/shop --output ads
        adstream liberate advertisements --database … --output ads --sink 'kafka://HOST:PORT?registry=URL' --every 10s
    """
    pause = _pause(every)
    with only_writer(output):
        liberator = Liberator(stream, load(stream, config), _sink(stream, output, sink, format), output / PROGRESS)
        progress, total = liberator.resume(again=again), Freed()
        with Database(database, read_only=True) as opened:
            while True:
                progress, freed = liberator.run(opened, progress)
                total = total.plus(freed)
                if pause is None:
                    break
                if freed.steps:
                    err.print(f"{stream}: {freed.records:,} records", highlight=False)
                time.sleep(pause)
    rows = {"records": total.records, "tombstones": total.tombstones, "dead letters": total.dead_letters}
    show_pairs(f"{stream}, freed", {**rows, "steps": total.steps, "where": sink.partition("?")[0] or output})


def _sink(stream: str, output: Path, sink: str, format: str) -> Sink:  # noqa: A002 the option's name
    contracts = contracts_of(stream)
    if not sink:
        return open_sink(output, format, contracts)
    # Only a run on a broker needs its client, which not every installation has.
    kafka = import_module("common.streams.kafka.sink")
    topics = import_module("common.streams.kafka.topics")
    opened = kafka.open_kafka_sink(sink, job_of(stream), str(output), contracts)
    topics.create(opened.address, topics.internal_topics(job_of(stream)))
    return opened


def _pause(every: str) -> float | None:
    """Seconds between two reads; None for a single one.

    Raises:
        AdstreamError: It is not a duration.
    """
    if not every:
        return None
    try:
        return parse_duration(every) / 1000
    except ValueError as error:
        raise AdstreamError(f"--every {every}: {error}", "write 10s") from None
