"""`adstream reprocess`: a job run again over its past, into a new stream that can take the place of the live one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from common.cli.compare import shown_difference
from common.cli.console import out, show_alarm, show_pairs
from common.cli.last import LastCheckpoint, LastOutput, last_spec
from common.cli.options import Config, Job, Option, Set
from common.cli.orders import stop
from common.cli.request import job_settings, request_of
from common.cli.run import persist, show, telling, watched
from common.config.layers import pairs
from common.engines.launch import is_running, save_spec
from common.engines.registry import ENGINES, require
from common.errors import AdstreamError, ExitCode
from common.names import pick
from common.runtime.replay import answers, make_topics, replay_of, start_of, taken
from common.runtime.spec import JobSpec
from common.streams.materialise import digest

ROUNDS = 10
"""How often a replay goes after a job that has moved on meanwhile."""


def reprocess(
    job: Job,
    /,
    *,
    output: LastOutput,
    into: Annotated[str, Parameter(help="The name of the new stream; it is made as its contract wants it.")],
    start: Annotated[
        str,
        Parameter(name="--from", help="beginning, or the time from which on records were written: epoch ms or ISO."),
    ] = "beginning",
    checkpoint: LastCheckpoint = "",
    engine: Annotated[
        str, Parameter(help="The engine of the replay; the job's own if absent.", show_default=False)
    ] = "",
    options: Option = (),
    config: Config = None,
    assignments: Set = (),
    switch: Annotated[
        bool, Parameter(negative="", help="Stop the live job, and go on in its place with the new stream.")
    ] = False,
    accept_differences: Annotated[
        bool, Parameter(negative="", help="Switch although the new stream differs: that was the aim.")
    ] = False,
) -> int:
    """Run a job again over its past, compare what comes out with the live stream, and switch over to it.

    The live job may go on meanwhile. The replay takes what the live job has taken, in larger steps, and the two streams
    are compared where both have come to. Exit code 1 if they differ.

        adstream reprocess sessions --output out --into ad-sessions-2
        adstream reprocess sessions --output out --into ad-sessions-2 --set gap=15m --switch --accept-differences
    """
    live = last_spec(job, output, checkpoint)
    changed: dict[str, object] = {}
    if engine or options:
        given = pairs("--option", options)
        chosen = pick("engine", engine or live.engine, ENGINES)
        changed |= {"engine": chosen, "options": given or (live.options if chosen == live.engine else {})}
    if config is not None or assignments:
        # What the job was run with stays, but for what is said now.
        said = job_settings(job, config, assignments)
        changed["settings"] = {**live.settings, **said.model_dump(exclude_unset=True)}
    replay = replay_of(live, into, start_of(start), changed)
    require(replay.engine)
    make_topics(replay)
    _name_side_effects(live, replay)
    replay = _caught_up(live, replay)
    if switch and is_running(output):
        stop(job, output=output, checkpoint=checkpoint)
        replay = _caught_up(live, replay)
    same = _compared(live, replay)
    if not switch:
        return ExitCode.OK if same else ExitCode.DIFFERENT
    if not (same or accept_differences):
        out.print(f"job '{job}' is stopped: --accept-differences switches over, 'adstream move' goes on as before")
        return ExitCode.DIFFERENT
    return _switched(live, replay)


def _caught_up(live: JobSpec, replay: JobSpec) -> JobSpec:
    """Takes what the live job has taken by the time that this ends; gives the last run."""
    for _ in range(ROUNDS):
        persist(request_of(replay), 0.0, watched)
        goal = taken(live)
        if goal == dict(replay.until):
            return replay
        replay = replace(replay, until=goal)
    raise AdstreamError(
        f"job '{live.job}' moves on faster than it can be compared", "stop it (adstream stop), or add --switch"
    )


def _compared(live: JobSpec, replay: JobSpec) -> bool:
    """Whether the new streams leave what the live ones leave; prints what differs first."""
    same = True
    for (name, ours), (new, theirs) in zip(answers(live), answers(replay), strict=True):
        if digest(ours) == digest(theirs):
            out.print(f"'{new}' is the same as '{name}': {ours.num_rows:,} records")
            continue
        same = False
        counts = f"{theirs.num_rows:,} records, not {ours.num_rows:,}"
        show_alarm("DIFFERENT:", f"'{new}' and '{name}' ({counts})")
        out.print(shown_difference((name, ours), (new, theirs)))
    if taken(live) != dict(replay.until):
        out.print(f"job '{live.job}' has moved on while they were compared: what is new is in one of them only")
    return same


def _name_side_effects(live: JobSpec, replay: JobSpec) -> None:
    names = replay.topics(replay.plan())
    written = {f"'{stream}' goes to": name for stream, name in names.items()}
    show_pairs(
        f"'{live.job}' again, on {replay.engine}",
        {
            **written,
            "it reads once more": ", ".join(replay.plan().sources),
            "the live streams": "stay as they are, and so do their readers",
            "where": replay.output,
        },
    )


def _switched(live: JobSpec, replay: JobSpec) -> int:
    """Lets the replay go on as the job."""
    goes_on = replace(replay, until={}, until_caught_up=live.until_caught_up, metrics=live.metrics)
    save_spec(goes_on)
    for stream, name in goes_on.topics(goes_on.plan()).items():
        out.print(f"'{name}' takes the place of '{stream}': let its readers follow")
    out.print(f"job '{live.job}' is from now on the one with --output {goes_on.output}")
    return show(persist(request_of(goes_on), 0.0, partial(telling, watched)), goes_on.sink)
