"""A plan as one Flink job: read, step by bucket, write by shard, complete.

The same job serves all runs. `batch` is one step that is read in many units. In `stream` mode a run that is to
catch up takes all steps there are, a unit each, protected by Flink's own checkpoints, and leaves the suite's checkpoint
behind. A run without an end plans steps as records arrive, and saves the suite's checkpoint every few seconds.
"""

from __future__ import annotations

import re
import signal
import sys
import sysconfig
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.number_seq import NumberSequenceSource

from common.engines.flink.earlier import cancel, end_earlier
from common.engines.flink.native import NativeCheckpoints
from common.engines.flink.pace import Pace
from common.engines.flink.sinks import CompleteSteps, PassShardsOn, WriteShards, shard_key
from common.engines.flink.sources import Agenda, PlanSteps, ReadAgenda, ReadUnits, batch_agenda, stream_agenda
from common.engines.flink.state import StepBuckets
from common.engines.flink.submit import MAX_PARALLELISM, ROOT, properties, shared_cluster
from common.errors import AdstreamError, told_in
from common.operators.step import END
from common.runtime.checkpoint import Checkpoint, Manifest
from common.runtime.orders import STOPPED
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary

ENDLESS = 2**62
STOP_SECONDS = 0.2
"""How often a run without an end looks whether it has stopped."""
PACKED = Types.PICKLED_BYTE_ARRAY()
_FAILED = re.compile(r"^Caused by: (?P<text>.+)$", re.MULTILINE)


def run(spec: JobSpec) -> Summary:
    """Runs one job on the cluster that this process was submitted to, or else on a mini-cluster.

    Raises:
        AdstreamError: What any run refuses, in the driver or in a task.
    """
    opened = Run.open(spec)
    master = shared_cluster(spec)
    if master is None:
        return _run(opened)
    end_earlier(master, _name(opened))
    try:
        return _run(opened)
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the `flink` command passes on the one that it got, too
        with suppress(AdstreamError):  # a cluster that does not answer is no reason to stay
            cancel(master, _name(opened))
        raise


def _run(run: Run) -> Summary:
    return _batch(run) if run.spec.mode == "batch" else _stream(run)


def _batch(run: Run) -> Summary:
    started = time.monotonic()
    run.sink.clear()
    scratch = Checkpoint(Path(run.spec.output, "_run", "flink"))
    scratch.clear(Path(scratch.place))
    run = replace(run, spec=replace(run.spec, checkpoint=scratch.place), checkpoint=scratch)
    _execute(run, run.kept(), batch_agenda(run), {})
    metrics = run.metrics(run.kept())
    scratch.clear(Path(scratch.place))
    return run.summary(metrics, started, steps=1, watermark=END)


def _stream(run: Run) -> Summary:
    started = time.monotonic()
    if run.spec.until_caught_up:
        _catch_up(run)
    else:
        _follow(run)
    manifest = run.kept()
    return run.summary(run.metrics(manifest), started, manifest.step, manifest.clock.watermark)


def _catch_up(run: Run) -> None:
    """Takes the steps there are; first those of a run that was interrupted."""
    done = False
    while not done:
        native = NativeCheckpoints(run.spec.workplace)
        manifest = run.kept()
        agenda = stream_agenda(run, manifest)
        # Where the job was let begin anew, what Flink has kept is another beginning's.
        begun = manifest.step > 0 or run.checkpoint.has_begun(run.spec.output)
        unfinished = native.unfinished(manifest.step, agenda, run.settings) if begun else None
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


def _follow(run: Run) -> None:
    """Takes the steps there are and those that come, until it is stopped.

    One that is asked to stop saves what it has not saved yet, and says so; then there is nothing left to lose.
    """
    NativeCheckpoints(run.spec.workplace).clear()
    stopped = Path(run.spec.workplace, STOPPED)
    stopped.unlink(missing_ok=True)
    Pace(run.spec.workplace).begin()
    environment = _environment(run, run.resume(), None, {})
    try:
        client = environment.execute_async(_name(run))
        ended = client.get_job_execution_result()
        while not ended.done():
            if stopped.exists():
                client.cancel().result()
                return
            time.sleep(STOP_SECONDS)
        ended.result()
    except Py4JJavaError as error:
        raise _reason(error) from error


def _execute(run: Run, manifest: Manifest, agenda: Agenda, settings: dict[str, str]) -> None:
    """Runs a Flink job to its end; arguments as `translate` takes them."""
    environment = _environment(run, manifest, agenda, settings)
    try:
        environment.execute(_name(run))
    except Py4JJavaError as error:
        raise _reason(error) from error


def _environment(
    run: Run, manifest: Manifest, agenda: Agenda | None, settings: dict[str, str]
) -> StreamExecutionEnvironment:
    """A Flink job that is ready to run."""
    configuration = Configuration()
    for name, value in {**_python(), **properties(run.spec), **settings}.items():
        configuration.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.set_parallelism(run.settings.parallelism)
    environment.set_max_parallelism(MAX_PARALLELISM)
    translate(environment, run, manifest, agenda)
    return environment


def _name(run: Run) -> str:
    """The name of a run's jobs on a cluster: that of all runs that write to the same place."""
    return f"adstream {run.spec.job}, {run.spec.output}"


def translate(environment: StreamExecutionEnvironment, run: Run, manifest: Manifest, agenda: Agenda | None) -> None:
    """Adds a run's operators to a Flink job. Each has a `uid`, by which its state is found again.

    Args:
        environment: The job.
        run: The run.
        manifest: The suite's checkpoint before the run.
        agenda: What to take; None for all that comes, without an end.
    """
    arrived = [_arrived(environment, run, manifest, agenda).name("read and split by bucket").uid("read")]
    written = []
    for round_ in run.rounds:
        shards = (
            _merged(arrived)
            .key_by(lambda part: part.bucket, Types.INT())
            .process(StepBuckets(run, round_, manifest), PACKED)
            .name(f"{round_.name} by bucket")
            .uid(round_.name)
            .key_by(shard_key, Types.STRING())
        )
        written.append(
            shards.process(WriteShards(run), PACKED).name(f"stage what {round_.name} gives").uid(f"write {round_.name}")
        )
        if round_.number + 1 < len(run.rounds):
            passed = shards.process(PassShardsOn(run), PACKED).name("shuffle by bucket").uid(f"shuffle {round_.name}")
            arrived.append(passed)
    (
        _merged(written)
        .key_by(lambda _: 0, Types.INT())
        .process(CompleteSteps(run, manifest, Pace(run.spec.workplace) if agenda is None else None), Types.LONG())
        .name("complete steps in order")
        .uid("complete")
        .set_parallelism(1)
    )


def _merged(streams: list[DataStream]) -> DataStream:
    """The union of streams.

    Flink would chain a Python operator before a union to the one behind it, two interpreters' states in one thread.
    There PyArrow, which asks for the state of the thread, waits for ever for the lock that its own thread holds.
    """
    first, *others = streams
    return first.disable_chaining().union(*(other.disable_chaining() for other in others)) if others else first


def _arrived(
    environment: StreamExecutionEnvironment, run: Run, manifest: Manifest, agenda: Agenda | None
) -> DataStream:
    """What is read, for each round and bucket."""
    numbers = environment.from_source(
        NumberSequenceSource(0, ENDLESS if agenda is None else agenda.size - 1),
        WatermarkStrategy.no_watermarks(),
        f"steps of {', '.join(run.plan.sources)}",
    ).uid("agenda")
    if agenda is not None:
        return numbers.flat_map(ReadAgenda(run, agenda), PACKED)
    ticks = numbers.set_parallelism(1)
    units = ticks.flat_map(PlanSteps(run, manifest), PACKED).name("plan steps").uid("plan").set_parallelism(1)
    return units.rebalance().flat_map(ReadUnits(run), PACKED)


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
    if (told := told_in(text)) is not None:
        return told
    causes = _FAILED.findall(text)
    return RuntimeError(causes[-1] if causes else text)
