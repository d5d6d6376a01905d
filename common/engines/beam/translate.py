"""A plan as one Beam pipeline: read each stream, step by bucket, write."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import uuid4

import apache_beam as beam

from common.engines.beam.runners import Target
from common.engines.beam.sinks import BucketEnd, Packed, PartKey, Report, Tell, Write
from common.engines.beam.sources import Arrived, ByBucket, Read, Steps
from common.engines.beam.state import ENDS, ONWARD, RECORDS, Course, StepInOrder, StepWhole
from common.engines.beam.submit import check
from common.operators.step import END
from common.runtime.bucket import Round
from common.runtime.checkpoint import Manifest
from common.runtime.run import BATCH, Run, now_ms
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.folder import Position, Split
from common.streams.staging import step_name

SPLIT_BYTES = 32 * 2**20
STEPS_A_PIPELINE = 64
"""After how many steps a run saves its checkpoint and goes on with another pipeline. Local runners hold
in memory what a pipeline shuffles, and a bucket buffers the steps that it has not taken yet."""


@dataclass(frozen=True)
class Leg:
    """The steps of one pipeline, and what they read.

    Attributes:
        course: The steps.
        splits: What to read, with the step that each split belongs to.
        position: What was taken of the source streams after the last step.
    """

    course: Course
    splits: tuple[tuple[int, Split], ...]
    position: Position


def run(spec: JobSpec) -> Summary:
    """Runs one job on the runner that the spec's options name.

    Raises:
        AdstreamError: An option is wrong, or the runner can't be reached.
    """
    target = Target.resolve(spec)
    opened = Run.open(spec)
    return _batch(opened, target) if spec.mode == "batch" else _stream(opened, target)


def _batch(run: Run, target: Target) -> Summary:
    started = time.monotonic()
    run.sink.clear()
    path = report_path(run)
    splits = [(0, split) for split in run.source.everything(SPLIT_BYTES)]
    pipeline = target.pipeline()
    batch_pipeline(pipeline, run, splits, path)
    target.execute(pipeline)
    report = Report.take(path)
    run.sink.deliver(BATCH, report.parts(BATCH))
    counters = Counter[str]()
    for result in report.results():
        counters.update(result.counters)
    return run.summary(counters, started, steps=1, watermark=END)


def _stream(run: Run, target: Target) -> Summary:
    check(run.spec)
    started = time.monotonic()
    manifest = run.resume()
    for leg in legs(run, manifest, STEPS_A_PIPELINE):
        path = report_path(run)
        pipeline = target.pipeline()
        stream_pipeline(pipeline, run, manifest, leg, path)
        target.execute(pipeline)
        manifest = _complete(run, manifest, leg, Report.take(path))
    return run.summary(run.metrics(manifest), started, manifest.step, manifest.clock.watermark)


def batch_pipeline(pipeline: beam.Pipeline, run: Run, splits: Iterable[tuple[int, Split]], report: Path) -> None:
    """Adds to a pipeline: everything there is, each bucket stepped once.

    Args:
        pipeline: An empty pipeline.
        run: The run.
        splits: What to read, all in step 0.
        report: Where the report goes.
    """
    arrived, told = _read(pipeline, run, splits), []
    for round_ in run.rounds:
        stepped = (
            arrived
            | f"For {round_.name}" >> beam.Filter(_is_for, round_)
            | f"Shuffle for {round_.name}" >> beam.GroupByKey()
            | f"{round_.name} by bucket" >> _outputs(beam.ParDo(StepWhole(run, round_)))
        )
        told.append(stepped)
        arrived = (arrived, stepped[ONWARD]) | f"After {round_.name}" >> beam.Flatten()
    _write(told, run, report)


def stream_pipeline(pipeline: beam.Pipeline, run: Run, manifest: Manifest, leg: Leg, report: Path) -> None:
    """Adds to a pipeline: the steps of a leg, taken in order by each bucket.

    Args:
        pipeline: An empty pipeline.
        run: The run.
        manifest: The checkpoint before the leg.
        leg: The steps.
        report: Where the report goes.
    """
    steps = range(leg.course.first, leg.course.last + 1)
    arrived = (
        _read(pipeline, run, leg.splits),
        pipeline | "Steps" >> Steps(steps, run.settings.buckets),
    ) | "With every step" >> beam.Flatten()
    told = []
    for round_ in run.rounds:
        stepped = (
            arrived
            | f"For {round_.name}" >> beam.Filter(_is_for, round_)
            | f"{round_.name} by bucket" >> _outputs(beam.ParDo(StepInOrder(run, round_, leg.course, manifest)))
        )
        told.append(stepped)
        arrived = (arrived, stepped[ONWARD]) | f"After {round_.name}" >> beam.Flatten()
    _write(told, run, report)


def legs(run: Run, manifest: Manifest, length: int) -> Iterator[Leg]:
    """The steps from a checkpoint until all files there are were taken, and the drain; a pipeline's worth each."""
    taken = _steps(run, manifest)
    while steps := tuple(islice(taken, length)):
        first, last = steps[0].course.first, steps[-1].course.last
        splits = tuple(split for step in steps for split in step.splits)
        arrived = tuple(moment for step in steps for moment in step.course.arrived)
        yield Leg(Course(first, last, steps[-1].course.ends, arrived), splits, steps[-1].position)


def report_path(run: Run) -> Path:
    """Where a pipeline leaves its report: a new name each, so that none is taken for another's."""
    return Path(run.spec.output) / "_run" / f"beam-{uuid4().hex}.json"


def _steps(run: Run, manifest: Manifest) -> Iterator[Leg]:
    number, position = manifest.step, manifest.position
    while (arrivals := run.source.next_step(position)) is not None:
        position = arrivals.position
        course = Course(number, number, ends=False, arrived=(arrivals.arrived,))
        yield Leg(course, tuple((number, split) for split in arrivals.splits), position)
        number += 1
    if run.spec.drain:
        yield Leg(Course(number, number, ends=True, arrived=(0,)), (), position)


def _read(pipeline: beam.Pipeline, run: Run, splits: Iterable[tuple[int, Split]]) -> ByBucket:
    now, all_splits = now_ms(), tuple(splits)
    streams = (
        pipeline
        | f"Read {stream}"
        >> Read(run.front, [(step, split) for step, split in all_splits if split.stream == stream], now)
        for stream in run.plan.sources
    )
    return tuple(streams) | "Merge" >> beam.Flatten()


def _is_for(item: tuple[int, Arrived], round_: Round) -> bool:
    frame = item[1].frame
    return frame is None or round_.takes(frame)


def _outputs(stepping: beam.ParDo) -> beam.PTransform[ByBucket, beam.pvalue.DoOutputsTuple]:
    typed = stepping.with_output_types(tuple[PartKey, Packed], **{ENDS: BucketEnd, ONWARD: tuple[int, Arrived]})
    return typed.with_outputs(ENDS, ONWARD, main=RECORDS)


def _write(told: list[beam.pvalue.DoOutputsTuple], run: Run, report: Path) -> None:
    records = tuple(stepped[RECORDS] for stepped in told) | "Records of all rounds" >> beam.Flatten()
    ends = tuple(stepped[ENDS] for stepped in told) | "Ends of all rounds" >> beam.Flatten()
    written = records | f"Write {', '.join(run.plan.sinks)}" >> Write(run.sink)
    (ends, written) | "Report" >> Tell(report)


def _complete(run: Run, manifest: Manifest, leg: Leg, report: Report) -> Manifest:
    """Delivers the steps of a leg in their order, and saves the one checkpoint that follows them.

    A crash in between leaves the leg to be taken again, from the checkpoint before it.
    """
    for step in range(leg.course.first, leg.course.last):
        run.sink.deliver(step_name(step), report.parts(step_name(step)))
    last = step_name(leg.course.last)
    clock = next(end.clock for end in report.ends if end.clock is not None)
    before_last = replace(manifest, step=leg.course.last)
    return run.complete(before_last, leg.position, clock, report.results(), report.parts(last))
