"""Stepping buckets inside Spark's tasks, with their state in the suite's checkpoint.

The methods are for `DataFrame.mapInArrow`: they take one task's rows of `sources.FRAMES`, sorted by bucket, step one
bucket after another, and give one `sinks.Report`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
from pyspark import TaskContext

from common.engines.spark.sinks import Report
from common.engines.spark.sources import by_bucket
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import step_bucket
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.frames import Frame, Kind, latest_by_partition
from common.runtime.run import BATCH, BucketResult, Run, step_name
from common.streams.sink import PartWriter


@dataclass(frozen=True)
class WholeInput:
    """The only step of a batch job: no state before it, none after it.

    Attributes:
        run: The run.
    """

    run: Run

    def step(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Steps the buckets that got frames."""
        plan = self.run.plan
        empty = plan.operator.state_schema.empty_table()
        results = []
        with self.run.sink.writer(BATCH, _part(_task())) as writer:
            for bucket, frames in by_bucket(batches):
                stepped = step_bucket(plan, empty, frames, Watermarks(BEGINNING, END))
                writer.write(stepped.records)
                results.append(BucketResult(bucket, counters=stepped.counters))
        yield Report(tuple(results), writer.parts).row()


@dataclass(frozen=True)
class OneStep:
    """One step of a streaming job.

    Attributes:
        run: The run.
        before: The checkpoint before the step.
        tasks: How many tasks step buckets; bucket `b` belongs to task `b % tasks`.
        arrived: When the step's records had arrived, in epoch ms.
    """

    run: Run
    before: Manifest
    tasks: int
    arrived: int = 0

    def arrive(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Steps the buckets that got events, and those that have become due."""
        groups = by_bucket(batches)
        first = next(groups, None)
        if first is None:
            yield self._take((), self.before.clock.observe({}, self.arrived), {})
            return
        # Every bucket gets all TIME frames of the step, so the first bucket's settle the clock.
        latest = latest_by_partition(first[1])
        yield self._take(chain([first], groups), self.before.clock.observe(latest, self.arrived), latest)

    def end(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Steps all buckets that hold something, with the watermark at infinity; takes a row a task, of anything."""
        deque(batches, maxlen=0)  # Spark keeps a worker for further tasks only when it has read all its input
        yield self._take((), self.before.clock.ended(), {})

    def _take(
        self, groups: Iterable[tuple[int, list[Frame]]], clock: Clock, latest: Mapping[str, int]
    ) -> pa.RecordBatch:
        moments = clock.since(self.before.clock)
        task = _task()
        quiet = set(range(task, self.run.settings.buckets, self.tasks))
        results = []
        with self.run.sink.writer(step_name(self.before.step), _part(task)) as writer:
            for bucket, frames in groups:
                if any(frame.kind is not Kind.TIME for frame in frames):
                    quiet.remove(bucket)
                    results.append(self._step(bucket, frames, moments, writer))
            for bucket in sorted(quiet):
                kept = self.before.buckets[bucket]
                if kept.path and kept.due <= clock.watermark:
                    results.append(self._step(bucket, (), moments, writer))
        return Report(tuple(results), writer.parts, latest).row()

    def _step(self, bucket: int, frames: Iterable[Frame], moments: Watermarks, writer: PartWriter) -> BucketResult:
        plan, checkpoint = self.run.plan, self.run.checkpoint
        state = checkpoint.read_state(self.before.buckets[bucket], plan.operator.state_schema)
        stepped = step_bucket(plan, state, frames, moments)
        writer.write(stepped.records)
        path = checkpoint.write_state(self.before.step, bucket, stepped.state)
        return BucketResult(bucket, path, stepped.due, stepped.counters, stepped.gauges)


def _task() -> int:
    """The number of the task that this code runs in."""
    context = TaskContext.get()
    assert context is not None
    return context.partitionId()


def _part(task: int) -> str:
    """The name of a task's output files; a task that is run again replaces them."""
    return f"p{task:05d}"
