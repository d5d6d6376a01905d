"""`adstream lag`, `adstream offsets` and `adstream reset`: a job's place in its streams, seen and moved."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, get_args

from cyclopts import App, Parameter
from rich.live import Live
from rich.prompt import Confirm
from rich.table import Table

from common.cli.console import err, out
from common.cli.last import LastCheckpoint, LastOutput, last_spec
from common.cli.options import Job
from common.engines.launch import only_writer
from common.errors import AdstreamError
from common.runtime.offsets import Offsets
from common.runtime.reset import empty, forget
from common.runtime.spec import JobSpec
from common.streams.kafka.address import Start
from common.streams.kafka.admin import shared_outputs
from common.streams.kafka.lag import Lag, lags
from common.streams.source import BROKER

WATCH_SECONDS = 2.0

app = App(
    name="offsets", help="Show where a job goes on in its streams on a broker, and move it while it does not run."
)


def lag(
    job: Job,
    /,
    *,
    output: LastOutput,
    checkpoint: LastCheckpoint = "",
    watch: Annotated[bool, Parameter(negative="", help="Show it again every two seconds, until ^C.")] = False,
) -> None:
    """Show how far a job is behind its input streams on a broker, by partition; it may be running.

    Events are counted as offsets: where a stream is written in transactions, the end of each counts as one more.

    adstream lag sessions --output out --watch
    """
    spec = last_spec(job, output, checkpoint)
    if not watch:
        out.print(_lag_table(spec))
        return
    with Live(_lag_table(spec), console=out, auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(_lag_table(spec), refresh=True)


@app.command
def show(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "") -> None:
    """Show the offsets that a job takes next.

    adstream offsets show sessions --output out
    """
    offsets = Offsets.open(last_spec(job, output, checkpoint))
    _show_moves(offsets.taken, offsets)


@app.command(name="reset")
def to_start(
    job: Job,
    /,
    *,
    output: LastOutput,
    checkpoint: LastCheckpoint = "",
    to: Annotated[str, Parameter(help="earliest, latest, or a time in epoch ms.")] = "earliest",
) -> None:
    """Move a job in all its partitions. Its state stays: `adstream reset` lets it begin anew.

    adstream offsets reset sessions --output out --to latest
    """
    if not to.isdecimal() and to not in get_args(Start):
        raise AdstreamError(f"--to is '{to}'", "give earliest, latest, or a time in epoch ms")
    with only_writer(output):
        offsets = Offsets.open(last_spec(job, output, checkpoint))
        _move(offsets, offsets.source.beginning(to))


@app.command
def advance(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "") -> None:
    """Move a job past records that expired before it took them: their loss is accepted.

    adstream offsets advance sessions --output out
    """
    with only_writer(output):
        offsets = Offsets.open(last_spec(job, output, checkpoint))
        _move(offsets, offsets.advanced())


@app.command(name="set")
def set_(
    job: Job,
    /,
    *assignments: Annotated[str, Parameter(help="PARTITION=OFFSET, such as ad-views/0=1500.")],
    output: LastOutput,
    checkpoint: LastCheckpoint = "",
) -> None:
    """Move a job in some of its partitions.

    adstream offsets set sessions ad-views/0=1500 --output out
    """
    wanted = _assigned(assignments)
    with only_writer(output):
        offsets = Offsets.open(last_spec(job, output, checkpoint))
        _move(offsets, offsets.with_set(wanted))


def reset(
    job: Job,
    /,
    *,
    output: LastOutput,
    checkpoint: LastCheckpoint = "",
    outputs: Annotated[
        bool,
        Parameter(
            negative="",
            help="Also drop the records of its output streams, but for those on a broker that another job may write.",
        ),
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
) -> None:
    """Let a job begin anew: drop its checkpoint and its internal streams. It must not be running.

    adstream reset sessions --output out
    """
    with only_writer(output):
        spec = last_spec(job, output, checkpoint)
        if spec.plan().tables and not outputs:
            raise AdstreamError(
                f"the tables of job '{job}' know which steps they hold, so none can begin anew beside them",
                "add --outputs, which drops them",
            )
        shared = shared_outputs(job) if spec.sink.startswith(BROKER) else frozenset()
        named = spec.plan().sinks if outputs else ()
        streams = [stream for stream in named if stream not in shared]
        place = spec.sink.partition("?")[0] or spec.output
        out.print(f"checkpoint {spec.checkpoint}: dropped for good")
        for stream in streams:
            out.print(f"stream '{stream}' at {place}: all its records are dropped")
        for stream in sorted(shared.intersection(named)):
            out.print(f"stream '{stream}' at {place}: stays, as another job may write it")
        if not yes and not _confirmed():
            raise AdstreamError("nothing was changed")
        forget(spec)
        if streams:
            empty(spec, streams)
        out.print(f"job '{job}' begins anew with its next run")


def _lag_table(spec: JobSpec) -> Table:
    offsets = Offsets.open(spec)
    found = lags(offsets.source, offsets.taken)
    table = Table("partition", "next", "events behind", "seconds behind", "expired", box=None)
    for each in found:
        table.add_row(each.partition, str(each.taken), f"{each.events:,}", _seconds(each), f"{each.expired:,}")
    table.add_row("all", "", f"{sum(each.events for each in found):,}", _seconds(_worst(found)), "")
    return table


def _worst(found: Sequence[Lag]) -> Lag:
    return max(found, key=lambda each: each.waiting_ms or 0)


def _seconds(lag: Lag) -> str:
    return "unknown" if lag.waiting_ms is None else f"{lag.waiting_ms / 1000:,.1f}"


def _move(offsets: Offsets, wanted: Mapping[str, int]) -> None:
    _show_moves(wanted, offsets)
    offsets.move(wanted)


def _show_moves(wanted: Mapping[str, int], offsets: Offsets) -> None:
    firsts, ends, taken = offsets.source.firsts(), offsets.source.ends(), offsets.taken
    table = Table("partition", "first", "end", "next", "was", box=None)
    for name in offsets.source.partitions:
        numbers = (firsts[name], ends[name], wanted[name], taken[name])
        table.add_row(name, *map(str, numbers))
    out.print(table)


def _assigned(texts: Sequence[str]) -> dict[str, int]:
    wanted = {}
    for text in texts:
        partition, _, offset = text.rpartition("=")
        if not partition or not offset.isdecimal():
            raise AdstreamError(f"'{text}' is not PARTITION=OFFSET", "write ad-views/0=1500")
        wanted[partition] = int(offset)
    if not wanted:
        raise AdstreamError("no partition was named", "write ad-views/0=1500")
    return wanted


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise AdstreamError("nobody is there to be asked", "add --yes")
    return Confirm.ask("go on?", console=err, default=False)
