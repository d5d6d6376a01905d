"""From what was typed to a spec, with every check that needs no engine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import cast, get_args

from common.config.job import JobSettings
from common.config.jobs import jobs
from common.config.layers import Layers, settings
from common.engines import registry
from common.engines.launch import only_writer
from common.engines.registry import ENGINES
from common.errors import AdstreamError
from common.names import pick
from common.runtime.run import Run
from common.runtime.spec import DATABASE, Format, JobSpec, Mode
from common.s3 import S3
from common.storage import absolute, below
from common.streams.source import BROKER
from common.tables.place import TablePlace
from common.topology.checks import check
from common.topology.plan import Plan

CHECKPOINT = "_checkpoint"


@dataclass(frozen=True)
class Request:
    """A run as it was asked for; the attributes are those of `JobSpec`, unchecked.

    Attributes:
        overwrite: Whether what an earlier run left in the output is deleted first.
    """

    job: str
    engine: str
    input: str
    output: Path
    checkpoint: str = ""
    mode: str = "batch"
    format: str = "jsonl"
    settings: Mapping[str, object] = field(default_factory=dict)
    until_caught_up: bool = False
    drain: bool = False
    overwrite: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    sink: str = ""
    metrics: str = ""
    into: str = ""
    until: Mapping[str, int] = field(default_factory=dict)


def job_settings(job: str, config: Path | None, assignments: Sequence[str]) -> JobSettings:
    """The settings of a job under the variables of this process.

    Raises:
        AdstreamError: See `common.config.layers.settings`.
    """
    return settings(pick("job", job, jobs()), Layers(config, os.environ, assignments))


def spec_of(request: Request) -> JobSpec:
    """The spec of a request; its folders as absolute paths, which hold wherever the engine runs.

    Raises:
        AdstreamError: A name is unknown, or two options contradict each other.
    """
    spec = JobSpec(
        job=pick("job", request.job, jobs()),
        engine=pick("engine", request.engine, ENGINES),
        mode=cast("Mode", pick("mode", request.mode, get_args(Mode))),
        input=absolute(request.input),
        output=str(request.output.absolute()),
        checkpoint=_checkpoint(request),
        format=cast("Format", pick("format", request.format, get_args(Format))),
        settings=request.settings,
        until_caught_up=request.until_caught_up or request.drain,
        drain=request.drain,
        options=request.options,
        sink=request.sink,
        metrics=request.metrics,
        into=request.into,
        until=request.until,
    )
    if spec.mode == "batch" and spec.until_caught_up:
        option = "--drain" if spec.drain else "--until-caught-up"
        raise AdstreamError(f"{option} has no meaning in batch mode", "leave it out, or add --mode stream")
    if spec.mode == "batch" and spec.metrics:
        raise AdstreamError("--metrics-port has no meaning in batch mode", "leave it out, or add --mode stream")
    return spec


def request_of(spec: JobSpec) -> Request:
    """The request that leads to a spec again."""
    asked = {each.name: getattr(spec, each.name) for each in fields(Request) if each.name != "overwrite"}
    return Request(**{**asked, "output": Path(spec.output)})


def checked(request: Request) -> Run:
    """A request's run, once everything that it names is there and fits; a folder for its output is made.

    Raises:
        AdstreamError: A check failed.
    """
    spec = spec_of(request)
    registry.check(spec)
    _check_sink(spec, check(spec.topology()))
    if Path(spec.output).exists() and not Path(spec.output).is_dir():
        raise AdstreamError(f"output '{spec.output}' is not a folder", "choose another --output")
    try:
        Path(spec.output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdstreamError(f"output '{spec.output}': {error.strerror}", "choose another --output") from error
    run = Run.open(spec)
    anew = request.overwrite or spec.mode == "batch"
    kept = None if anew else run.kept()
    if spec.sink.startswith(BROKER) or spec.input.startswith(BROKER):
        # Only a run on a broker needs its client, which not every installation has.
        import_module("common.runtime.broker").check_broker(run, kept)
    if request.overwrite:
        return run
    if run.plan.tables and kept is not None:
        run.check_sink(kept)
    elif kept is None or (kept.step == 0 and not run.checkpoint.has_begun(spec.output)):
        _check_empty(run)
    return run


def clear(run: Run) -> None:
    """Drops what earlier runs left in a run's output and checkpoint; to be called under its locks.

    Raises:
        AdstreamError: Another run goes on with the checkpoint, or the sink keeps what it has.
    """
    spec = run.spec
    # A run in batch mode has no checkpoint of its own to lock; what lies there may be that of a job that runs.
    lock = spec.mode == "batch" and spec.workplace.is_dir()
    with only_writer(spec.workplace, "checkpoint") if lock else nullcontext():
        run.sink.clear()
        run.checkpoint.clear(spec.workplace)


def _checkpoint(request: Request) -> str:
    """Where the state is kept, as an absolute path or a URL."""
    block = cast("Mapping[str, str]", request.settings.get("checkpoint", {}))
    of_job = below(block["storage"], request.job) if block.get("storage") else ""
    return absolute(request.checkpoint or of_job or str(request.output / CHECKPOINT))


def _check_sink(spec: JobSpec, plan: Plan) -> None:
    """Streams go to a broker, tables into a database or an object store, and both into a folder."""
    if plan.tables and spec.sink and not spec.in_database:
        if not spec.sink.startswith(S3):
            raise AdstreamError(
                f"sink '{spec.sink}' is no place for tables",
                f"write {DATABASE}HOST:PORT/NAME or {S3}BUCKET/PATH, or leave it out",
            )
        TablePlace(spec.sink).check()
    if spec.sink and not plan.tables and not spec.sink.startswith(BROKER):
        raise AdstreamError(
            f"sink '{spec.sink}' is not the address of a broker",
            f"write {BROKER}HOST:PORT?registry=URL, or leave it out",
        )


def _check_empty(run: Run) -> None:
    """Refuses to mix a run's output with an earlier one's."""
    root = Path(run.spec.output)
    if run.plan.tables and run.spec.sink and run.sink.delivered() >= 0:
        raise AdstreamError(
            f"job '{run.plan.name}': the sink holds tables of an earlier run",
            "add --overwrite, which drops them, or choose another --sink",
        )
    for stream in run.plan.sinks:
        if any((root / stream).glob("*")):
            raise AdstreamError(
                f"output '{root}' holds '{stream}' of an earlier run", "add --overwrite, or choose another --output"
            )
