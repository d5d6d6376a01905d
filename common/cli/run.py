"""`adstream run`: one job on one engine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import echo, following, out, show_pairs
from common.cli.options import Config, Format, Input, Job, Option, Output, Set
from common.cli.request import Request, job_settings, prepare
from common.config.jobs import report_of
from common.config.layers import pairs
from common.engines.launch import launch, save_spec
from common.engines.registry import command, environment
from common.errors import ExitCode
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary


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
            help="A broker that gets the output streams in the place of OUTPUT, kafka://HOST:PORT.", show_default=False
        ),
    ] = "",
    checkpoint: Annotated[
        Path | None, Parameter(help="The folder of the kept state; OUTPUT/_checkpoint if absent.")
    ] = None,
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
    overwrite: Annotated[bool, Parameter(negative="", help="Delete what an earlier run left in the output.")] = False,
    print_command: Annotated[
        bool, Parameter(negative="", help="Print the engine's command instead of running it.")
    ] = False,
    verbose: Annotated[bool, Parameter(negative="", help="Show all that the engine prints.")] = False,
) -> int:
    """Run a job on an engine, and print what came out.

    In stream mode the same command goes on where the last run stopped.

        adstream run sessions --engine local --input ads --output out
        adstream run sessions --engine spark --input ads --output out --mode stream --until-caught-up
        adstream run sessions --engine spark --input ads --output out --set gap=15m --set grace=1h --format delta
        adstream run sessions --engine spark --input ads --output out --option master=spark://host:7077 --print-command
    """
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
    spec = prepare(request)
    if print_command:
        print(command_line(spec))
        return ExitCode.OK
    summary = _watched(spec) if not verbose else launch(spec, echo)
    return show(summary, sink)


def command_line(spec: JobSpec) -> str:
    """The engine's command, with its variables, as a line for a shell; its spec is saved."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment(spec).items()]
    return " ".join([*variables, shlex.join(command(save_spec(spec), spec))])


def show(summary: Summary, sink: str = "") -> int:
    """Prints what a run gave, and whether every record is accounted for; gives the exit code.

    Args:
        summary: The run.
        sink: The broker that got the output streams; they are not read back from there to be counted.
    """
    output = Path(summary.output)
    rows: dict[str, object] = {} if sink else {**report_of(summary.job, output)}
    rows |= {"late": summary.metrics.get("late", 0), "dead letters": summary.metrics.get("dead_letters", 0)}
    rows |= {"seconds": f"{summary.seconds:.1f}", "where": sink or output}
    show_pairs(f"{summary.job} on {summary.engine}, {summary.mode}", rows)
    if summary.balanced:
        out.print(f"balance: {balance(summary.metrics, summary.balance)}", highlight=False)
        return ExitCode.OK
    lost = summary.metrics.get("records_in", 0) - summary.accounted
    out.print(
        f"[bold red]NOT BALANCED, {lost:,} records unaccounted for:[/] {balance(summary.metrics, summary.balance)}"
    )
    return ExitCode.DIFFERENT


def balance(metrics: Mapping[str, int], names: tuple[str, ...]) -> str:
    """`10 records in = 7 actions out + 3 late`, with its numbers as they are."""
    terms = " + ".join(f"{metrics.get(name, 0):,} {name.replace('_', ' ')}" for name in names)
    return f"{metrics.get('records_in', 0):,} records in = {terms}"


def _watched(spec: JobSpec) -> Summary:
    with following(f"{spec.job} on {spec.engine}") as watch:
        return launch(spec, watch)
