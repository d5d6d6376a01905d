"""`adstream run`: one job on one engine."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from common.cli.console import err, err_line, following, out, show_alarm, show_pairs
from common.cli.options import Config, Format, Input, Job, Option, Output, Set, duration
from common.cli.request import Request, checked, clear, job_settings
from common.config.jobs import report_of
from common.config.layers import pairs
from common.engines.launch import launch, only_run, save_spec
from common.engines.registry import check, command, environment, require
from common.errors import ExitCode, UnavailableError
from common.lineage.runs import run_of, told
from common.retry import retry as again
from common.runtime.checkpoint import Checkpoint
from common.runtime.orders import Order, withdrawn
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.source import BROKER

Before: TypeAlias = Callable[[], None]
"""What is done once no other run can write to a run's output, before its engine starts."""

Start: TypeAlias = Callable[[JobSpec, Before], Summary]
"""Runs a spec on its engine."""


def run(
    job: Job,
    /,
    *,
    engine: Annotated[str, Parameter(help="local, spark, flink or beam; see 'adstream engines'.")],
    input: Input,  # noqa: A002 the option's name
    output: Output,
    mode: Annotated[
        str, Parameter(help="batch: all there is, to the end. stream: one file of each stream a step.")
    ] = "batch",
    format: Format = "jsonl",  # noqa: A002 the option's name
    sink: Annotated[
        str,
        Parameter(
            help="A broker that gets the output streams in the place of OUTPUT, kafka://HOST:PORT?registry=URL; or a "
            "database that gets the tables, postgresql://USER@HOST:PORT/NAME, or an object store, s3://BUCKET/PATH.",
            show_default=False,
        ),
    ] = "",
    checkpoint: Annotated[
        str,
        Parameter(
            help="The folder of the kept state, or s3://BUCKET/PATH; OUTPUT/_checkpoint if absent.", show_default=False
        ),
    ] = "",
    config: Config = None,
    assignments: Set = (),
    options: Option = (),
    until_caught_up: Annotated[
        bool, Parameter(negative="", help="Stop when every file was taken; the state stays.")
    ] = False,
    drain: Annotated[
        bool, Parameter(negative="", help="As --until-caught-up, then emit all that is still open.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        Parameter(help="Serve /metrics for Prometheus and /healthz on this port while it runs.", show_default=False),
    ] = None,
    metrics_host: Annotated[str, Parameter(help="The address they are served on; 0.0.0.0 for all.")] = "127.0.0.1",
    retry: Annotated[
        str,
        Parameter(
            help="How long to wait for a broker or registry that is not there, such as 5m; in stream mode also when "
            "it went away for too long in the middle.",
        ),
    ] = "0s",
    overwrite: Annotated[bool, Parameter(negative="", help="Delete what an earlier run left in the output.")] = False,
    print_command: Annotated[
        bool, Parameter(negative="", help="Print the engine's command instead of running it.")
    ] = False,
    check: Annotated[
        bool,
        Parameter(
            negative="",
            help="Only check that it could run: streams, permissions, schemas, the kept state. Changes nothing.",
        ),
    ] = False,
    verbose: Annotated[bool, Parameter(negative="", help="Show all that the engine prints.")] = False,
) -> int:
    """Run a job on an engine, and print what came out.

    In stream mode the same command goes on where the last run stopped.

        adstream run sessions --engine local --input ads --output out
        adstream run sessions --engine spark --input ads --output out --mode stream --until-caught-up
        adstream run sessions --engine spark --input ads --output out --set gap=15m --set grace=1h --format delta
        adstream run sessions --engine spark --input ads --output out --option master=spark://host:7077 --print-command
        adstream run sessions --engine local --input 'kafka://…' --sink 'kafka://…' --output out --mode stream --retry 5m
    """
    patience = duration("--retry", retry) / 1000
    request = Request(
        job=job,
        engine=engine,
        input=input,
        output=output,
        checkpoint=checkpoint,
        mode=mode,
        format=format,
        settings=job_settings(job, config, assignments).model_dump(),
        until_caught_up=until_caught_up,
        drain=drain,
        overwrite=overwrite,
        options=pairs("--option", options),
        sink=sink,
        metrics="" if metrics_port is None else f"{metrics_host}:{metrics_port}",
    )
    if check:
        return show_checked(again(partial(checked, request), patience, err_line))
    if print_command:
        print(command_line(again(partial(checked, request), patience, err_line).spec))
        return ExitCode.OK
    require(request.engine)
    return show(persist(request, patience, partial(telling, echoed if verbose else watched)), sink)


def persist(request: Request, patience: float, start: Start) -> Summary:
    """Runs a request to its end; a broker or registry that is not there is waited for.

    What is ordered of a job meanwhile (`adstream scale`, `adstream move`) is seen to by starting it again.

    Args:
        request: What to run.
        patience: For how many seconds, at the start; and in stream mode, where the job goes on from its checkpoint,
            from each failure on that is not the same step's as the one before.
        start: Runs a spec on its engine.

    Raises:
        AdstreamError: The run failed, or what it needs was not there for so long (`UNAVAILABLE`).
    """
    failed, step, first = 0.0, -1, _First(patience)
    while True:
        request = replace(request, overwrite=request.overwrite and not first.is_done)
        run = again(partial(checked, request), patience, err_line)
        spec = run.spec
        for line in check(spec):
            err_line(line)
        try:
            summary = start(spec, partial(first, run, overwrite=request.overwrite))
            order = Order.take(spec.workplace)
            if order is None or not order.goes_on:
                return summary
            request = ordered(request, order)
            err_line(f"going on on {request.engine}, with parallelism {request.settings['parallelism']}")
        except UnavailableError as error:
            if spec.mode == "batch":
                raise
            reached = next_step(spec)
            failed, step = (failed, step) if failed and reached == step else (time.monotonic(), reached)
            if time.monotonic() - failed >= patience:
                raise
            err_line(f"{error.problem}; starting again where it was")


class _First:
    """What is done once, before a job's first engine starts.

    Args:
        patience: For how many seconds a service that it needs is waited for.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.is_done = False

    def __call__(self, run: Run, *, overwrite: bool) -> None:
        """Drops, when told to, what earlier runs left, and withdraws what was ordered of them; under the run's locks."""
        if self.is_done:
            return
        if overwrite:
            again(partial(clear, run), self.patience, err_line)
        withdrawn(run.spec.workplace)
        self.is_done = True


def ordered(request: Request, order: Order) -> Request:
    """A request as an order changes it; the options of an engine stay with it."""
    settings = {**request.settings, **({"parallelism": order.parallelism} if order.parallelism else {})}
    engine = order.engine or request.engine
    options = order.options if engine != request.engine or order.options else request.options
    return replace(request, engine=engine, options=options, settings=settings)


def show_checked(run: Run) -> int:
    """Makes the checks that only a deployment needs, and says that all have passed."""
    require(run.spec.engine)
    if run.spec.sink or run.spec.input.startswith(BROKER):
        import_module("common.runtime.broker").check_permissions(run)
    out.print(f"{run.spec.job} on {run.spec.engine}: all checks passed")
    return ExitCode.OK


def command_line(spec: JobSpec) -> str:
    """The engine's command, with its variables, as a line for a shell; its spec is saved.

    Raises:
        AdstreamError: A run writes to the output: the spec that is there is its own.
    """
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment(spec).items()]
    with only_run(spec):
        path = save_spec(spec)
    return " ".join([*variables, shlex.join(command(path, spec))])


def show(summary: Summary, sink: str = "") -> int:
    """Prints what a run gave, and whether every record is accounted for; gives the exit code.

    Args:
        summary: The run.
        sink: The broker that got the output streams; they are not read back from there to be counted.
    """
    output = Path(summary.output)
    rows: dict[str, object] = {} if sink else {**report_of(summary.job, output)}
    rows |= {"late": summary.metrics.get("late", 0), "dead letters": summary.metrics.get("dead_letters", 0)}
    rows |= {"seconds": f"{summary.seconds:.1f}", "where": sink or _as_typed(output)}
    show_pairs(f"{summary.job} on {summary.engine}, {summary.mode}", rows)
    if summary.balanced:
        out.print(f"balance: {balance(summary.metrics, summary.balance)}")
        return ExitCode.OK
    lost = summary.metrics.get("records_in", 0) - summary.accounted
    show_alarm(f"NOT BALANCED, {lost:,} records unaccounted for:", balance(summary.metrics, summary.balance))
    return ExitCode.DIFFERENT


def _as_typed(output: Path) -> Path:
    """A folder as it is reached from here, where it is below this one."""
    here = Path.cwd()
    return output.relative_to(here) if output.is_relative_to(here) else output


def balance(metrics: Mapping[str, int], names: tuple[str, ...]) -> str:
    """`10 records in = 7 actions out + 3 late`, with its numbers as they are."""
    terms = " + ".join(f"{metrics.get(name, 0):,} {name.replace('_', ' ')}" for name in names)
    return f"{metrics.get('records_in', 0):,} records in = {terms}"


def next_step(spec: JobSpec) -> int:
    """The step that a job takes next."""
    manifest = Checkpoint(spec.checkpoint).load()
    return manifest.step if manifest else 0


def telling(start: Start, spec: JobSpec, before: Before) -> Summary:
    """Runs a spec, and tells those who keep the platform's lineage."""
    with told(partial(run_of, spec), err_line):
        return start(spec, before)


def watched(spec: JobSpec, before: Before) -> Summary:
    """Runs a spec, and shows what it says of its steps."""
    with following(f"{spec.job} on {spec.engine}") as watch:
        return launch(spec, watch, before)


def echoed(spec: JobSpec, before: Before) -> Summary:
    """Runs a spec, and shows all that its engine prints."""
    return launch(spec, err.print, before)
