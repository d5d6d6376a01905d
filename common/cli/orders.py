"""`adstream stop`, `scale` and `move`: a job ended behind a whole step, and gone on with in another way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import out
from common.cli.last import LastCheckpoint, LastOutput, last_spec
from common.cli.options import Job, Option, tasks
from common.cli.request import request_of
from common.cli.run import next_step, ordered, persist, show, telling, watched
from common.config.layers import pairs
from common.engines.launch import is_running
from common.engines.registry import ENGINES, check, require
from common.errors import AdstreamError, ExitCode
from common.names import pick
from common.runtime.orders import Order, is_ordered
from common.runtime.spec import JobSpec

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 300.0
"""How long a step may take, and an engine to start anew."""

CaughtUp = Annotated[
    bool,
    Parameter(name="--until-caught-up", negative="", help="Where it does not run: take what there is, then stop."),
]


def stop(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "") -> None:
    """Stop a running job behind the step that it takes: a savepoint, from which any engine goes on.

    adstream stop sessions --output out
    """
    spec = _following(job, output, checkpoint)
    if not is_running(output):
        raise AdstreamError(f"job '{job}' does not run", f"see {output}/_run")
    Order().give(spec.workplace)
    _await(spec, lambda: not is_running(output), "stop")
    out.print(f"job '{job}' has stopped before step {next_step(spec)}")


def scale(
    job: Job,
    /,
    *,
    output: LastOutput,
    parallelism: Annotated[int, Parameter(help="With how many tasks.")],
    checkpoint: LastCheckpoint = "",
    until_caught_up: CaughtUp = False,
) -> int:
    """Let a job go on with another number of tasks, from a savepoint.

    One that runs is stopped behind the step that it takes, and started again by whoever runs it; one that does not
    run is run here.

        adstream scale sessions --output out --parallelism 4
    """
    order = Order(True, parallelism=tasks("--parallelism", parallelism))
    return change(last_spec(job, output, checkpoint), order, until_caught_up)


def move(
    job: Job,
    /,
    *,
    output: LastOutput,
    to: Annotated[str, Parameter(help="local, spark, flink or beam.")],
    checkpoint: LastCheckpoint = "",
    options: Option = (),
    until_caught_up: CaughtUp = False,
) -> int:
    """Let a job go on on another engine, from a savepoint: what is open stays open, nothing is lost or doubled.

    One that runs is stopped behind the step that it takes, and started there by whoever runs it; one that does not
    run is run here.

        adstream move sessions --output out --to flink
        adstream move sessions --output out --to spark --option master=spark://host:7077
    """
    order = Order(True, engine=pick("engine", to, ENGINES), options=pairs("--option", options))
    return change(last_spec(job, output, checkpoint), order, until_caught_up)


def change(spec: JobSpec, order: Order, caught_up: bool = False) -> int:  # noqa: FBT001, FBT002 an option, passed on
    """Lets a job go on as it is ordered; gives the exit code.

    Args:
        spec: Its last run.
        order: How it goes on.
        caught_up: Where it does not run: whether it ends when it has taken what there is.

    Raises:
        AdstreamError: It can't go on so, or has failed to.
    """
    output = Path(spec.output)
    if spec.mode == "batch":
        raise AdstreamError(
            f"job '{spec.job}' was run in batch mode, which keeps no state", "run it with --mode stream first"
        )
    running = is_running(output)
    request = ordered(request_of(spec), order)
    if not running and caught_up:
        request = replace(request, until_caught_up=True)
    goal = replace(spec, engine=request.engine, options=request.options, settings=request.settings)
    require(goal.engine)
    if not running:
        return show(persist(request, 0.0, partial(telling, watched)), spec.sink)
    _following(spec.job, output, spec.checkpoint)
    check(goal)
    order.give(spec.workplace)
    _await(spec, lambda: not is_ordered(spec.workplace) and _is(output, goal), "go on")
    what = f"job '{spec.job}' goes on on {goal.engine}, with parallelism {goal.parallelism}"
    out.print(f"{what}, from step {next_step(spec)}")
    return ExitCode.OK


def _following(job: str, output: Path, checkpoint: str) -> JobSpec:
    spec = last_spec(job, output, checkpoint)
    if spec.mode == "batch" or spec.until_caught_up:
        raise AdstreamError(
            f"job '{job}' is a run that ends by itself", "wait for its end, or run it without --until-caught-up"
        )
    return spec


def _is(output: Path, goal: JobSpec) -> bool:
    """Whether a job was started as it should go on."""
    now = last_spec(goal.job, output)
    return (now.engine, now.settings) == (goal.engine, goal.settings) and is_running(output)


def _await(spec: JobSpec, reached: Callable[[], bool], what: str) -> None:
    """Waits until a running job has done what it was told."""
    deadline, output = time.monotonic() + PATIENCE_SECONDS, Path(spec.output)
    gone: float | None = None
    while not reached():
        now = time.monotonic()
        gone = None if is_running(output) else gone or now
        if now > deadline or (gone is not None and now - gone > POLL_SECONDS * 100):
            raise AdstreamError(f"job '{spec.job}' did not {what} as it was told", f"see what it said: {output}/_run")
        time.sleep(POLL_SECONDS)
