"""A plan as one Flink job: read, step by bucket, write by shard, complete.

The same job serves both modes. `batch` is one step that is read in many units; in `stream` mode a unit is
a step. A job of the `stream` mode takes all steps there are, then leaves the suite's checkpoint behind.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import time
from dataclasses import replace
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.number_seq import NumberSequenceSource

from common.engines.flink.native import NativeCheckpoints
from common.engines.flink.sinks import CompleteSteps, PassShardsOn, WriteShards, shard_key
from common.engines.flink.sources import Agenda, ReadUnits, batch_agenda, stream_agenda
from common.engines.flink.state import StepBuckets
from common.engines.flink.submit import ROOT, properties
from common.errors import AdstreamError
from common.operators.step import END
from common.runtime.checkpoint import Checkpoint, Manifest
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary

MAX_PARALLELISM = 256
"""Flink's key groups; fixed for the life of its checkpoints."""
POLL_SECONDS = 0.5
PACKED = Types.PICKLED_BYTE_ARRAY()
_REFUSED = re.compile(r"common\.errors\.AdstreamError(?:'>)?: (?P<text>.+)")
_FAILED = re.compile(r"^Caused by: (?P<text>.+)$", re.MULTILINE)


def run(spec: JobSpec) -> Summary:
    """Runs one job on the cluster that this process was submitted to, or else on a mini-cluster.

    Raises:
        AdstreamError: What any run refuses, in the driver or in a task.
    """
    opened = Run.open(spec)
    return _batch(opened) if spec.mode == "batch" else _stream(opened)


def _batch(run: Run) -> Summary:
    started = time.monotonic()
    run.sink.clear()
    scratch = Checkpoint(Path(run.spec.output, "_run", "flink"))
    scratch.clear()
    run = replace(run, checkpoint=scratch)
    _execute(run, run.kept(), batch_agenda(run), {})
    metrics = run.metrics(run.kept())
    scratch.clear()
    return run.summary(metrics, started, steps=1, watermark=END)


def _stream(run: Run) -> Summary:
    started = time.monotonic()
    while not _take(run):
        time.sleep(POLL_SECONDS)
    manifest = run.kept()
    return run.summary(run.metrics(manifest), started, manifest.step, manifest.clock.watermark)


def _take(run: Run) -> bool:
    """Takes the steps there are; gives whether the run has ended with them."""
    native = NativeCheckpoints(run.checkpoint.root)
    manifest = run.kept()
    agenda = stream_agenda(run, manifest)
    unfinished = native.unfinished(manifest.step, agenda, run.settings)
    settings = {"execution.checkpointing.dir": native.folder(manifest.step).absolute().as_uri()}
    if unfinished is not None:
        done = unfinished.agenda.units == agenda.units
        settings["execution.state-recovery.path"] = unfinished.path.absolute().as_uri()
        _execute(run, manifest, unfinished.agenda, settings)
    else:
        done = True
        manifest = run.resume()
        if agenda.units:
            native.begin(manifest.step, agenda, run.settings)
            _execute(run, manifest, agenda, settings)
    native.clear()
    return done and run.spec.until_caught_up


def _execute(run: Run, manifest: Manifest, agenda: Agenda, settings: dict[str, str]) -> None:
    """Runs the agenda as a Flink job to its end."""
    configuration = Configuration()
    for name, value in {**_python(), **properties(run.spec), **settings}.items():
        configuration.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.set_parallelism(run.settings.parallelism)
    environment.set_max_parallelism(MAX_PARALLELISM)
    translate(environment, run, manifest, agenda)
    try:
        environment.execute(f"adstream {run.spec.job}")
    except Py4JJavaError as error:
        raise _reason(error) from error


def translate(environment: StreamExecutionEnvironment, run: Run, manifest: Manifest, agenda: Agenda) -> None:
    """Adds a run's operators to a Flink job. Each has a `uid`, by which its state is found again.

    Args:
        environment: The job.
        run: The run.
        manifest: The suite's checkpoint before the run.
        agenda: What to take.
    """
    plan = run.plan
    numbers = environment.from_source(
        NumberSequenceSource(0, agenda.size - 1),
        WatermarkStrategy.no_watermarks(),
        f"files of {', '.join(plan.sources)}",
    ).uid("agenda")
    arrived = numbers.flat_map(ReadUnits(run, agenda), PACKED).name("read and split by bucket").uid("read")
    written = []
    for round_ in run.rounds:
        stepped = (
            arrived.filter(lambda part, number=round_.number: part.round == number)
            .key_by(lambda part: part.bucket, Types.INT())
            .process(StepBuckets(run, round_, manifest), PACKED)
            .name(f"{round_.name} by bucket")
            .uid(round_.name)
        )
        shards = stepped.key_by(shard_key, Types.STRING())
        written.append(
            shards.process(WriteShards(run), PACKED).name(f"stage what {round_.name} gives").uid(f"write {round_.name}")
        )
        if round_.number + 1 < len(run.rounds):
            passed = shards.process(PassShardsOn(run), PACKED).name("shuffle by bucket").uid(f"shuffle {round_.name}")
            arrived = arrived.union(passed)
    first, *others = written
    (
        first.union(*others)
        .key_by(lambda _: 0, Types.INT())
        .process(CompleteSteps(run, manifest), Types.LONG())
        .name("complete steps in order")
        .uid("complete")
        .set_parallelism(1)
    )


def _python() -> dict[str, str]:
    """What tasks run Python with: what this process has."""
    return {
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.pythonpath": f"{ROOT}:{sysconfig.get_paths()['purelib']}",
    }


def _reason(error: Py4JJavaError) -> Exception:
    """Why a job failed: what a task refused, or else the innermost cause. Flink hands both on as text."""
    text = str(error)
    refused = _REFUSED.search(text)
    if refused is not None:
        return AdstreamError(refused["text"].strip())
    causes = _FAILED.findall(text)
    return RuntimeError(causes[-1] if causes else text)
