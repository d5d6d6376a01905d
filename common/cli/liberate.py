"""`adstream liberate`: rows of a database into a stream, by query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import err, err_line, show_pairs
from common.cli.database import BrokerSink, DatabaseUrl, Every, pause_of, sink_of, turns, url_of
from common.cli.options import Format, Option
from common.cli.options import tasks as checked
from common.config.layers import pairs
from common.databases.liberate import Liberator, contracts_of
from common.databases.liberation import Liberation, job_of, load
from common.databases.pages import Freed
from common.databases.postgres import Database
from common.engines.launch import only_writer
from common.engines.tasks import opened
from common.lineage.collect import liberation_job
from common.lineage.runs import Run, dataset, table, told
from common.runtime.spec import JobSpec

PROGRESS = "_progress/liberation.json"


def liberate(
    stream: Annotated[str, Parameter(help="The stream that is freed: a section of the configuration.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="The folder of the stream, and of the progress. One for each stream.")],
    database: DatabaseUrl = "",
    config: Annotated[
        Path | None, Parameter(help="What is freed; jobs/liberate/tables.yaml if absent.", show_default=False)
    ] = None,
    sink: BrokerSink = "",
    format: Format = "jsonl",  # noqa: A002 the option's name
    every: Every = "",
    engine: Annotated[str, Parameter(help="What reads pages: local, spark or beam.")] = "local",
    tasks: Annotated[int, Parameter(help="How many pages are read side by side; each step takes so many.")] = 1,
    option: Option = (),
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
        adstream liberate advertisements --database … --output ads --engine spark --tasks 8 --option master=spark://HOST:7077
    """
    pause = pause_of(every)
    spec = _spec(stream, output.absolute(), engine, tasks, option)
    with only_writer(output), opened(spec) as side_by_side:
        target = sink_of(job_of(stream), contracts_of(stream), output, sink, format)
        liberation = load(stream, config)
        liberator = Liberator(stream, liberation, target, output / PROGRESS, side_by_side, tasks)
        progress, total = liberator.resume(again=again), Freed()
        place, url = sink or str(output.absolute()), url_of(database)
        run = partial(_run, stream, liberation, url, place, streaming=pause is not None)
        with told(run, err_line), Database(url, read_only=True) as shop:
            for _ in turns(pause):
                progress, freed = liberator.run(shop, progress)
                total = total.plus(freed)
                if pause is not None and freed.steps:
                    err.print(f"{stream}: {freed.records:,} records")
    rows = {"records": total.records, "tombstones": total.tombstones, "dead letters": total.dead_letters}
    show_pairs(f"{stream}, freed", {**rows, "steps": total.steps, "where": sink.partition("?")[0] or output})


def _spec(stream: str, output: Path, engine: str, tasks: int, option: Sequence[str]) -> JobSpec:
    """What the engine is told of a run; the database's address is none of it, as it may hold a password."""
    options, settings = pairs("--option", option), {"parallelism": checked("--tasks", tasks)}
    return JobSpec(job_of(stream), engine, "batch", "", str(output), "", settings=settings, options=options)


def _run(stream: str, liberation: Liberation, database: str, place: str, *, streaming: bool) -> Run:
    """The run, for those who keep the platform's lineage."""
    job = liberation_job(stream, liberation)
    inputs = tuple(table(database, name) for name in job.tables)
    outputs = tuple(dataset(place, name) for name in (*job.writes, job.dead_letters))
    return Run(job, "adstream", streaming, inputs, outputs)
