"""Stepping buckets inside Spark's tasks, with their state in the suite's checkpoint.

The methods are for `DataFrame.mapInArrow`, once a round: they take one task's rows of `sources.FRAMES`, sorted by
bucket, step one bucket after another, and give rows of `FRAMES` again: what goes to later rounds, and a report
for the driver, which later rounds pass on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa
from pyspark import TaskContext

from common.engines.spark.sinks import Report
from common.engines.spark.sources import by_bucket, report_row, rows, without_reports
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import Inbox, Round
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.frames import Frame, Kind, latest_by_partition
from common.runtime.run import BATCH, BucketResult, Run
from common.streams.sink import PartWriter
from common.streams.staging import step_name


@dataclass(frozen=True)
class WholeInput:
    """A round of the only step of a batch job: no state before it, none after it.

    Attributes:
        run: The run.
        round: The round.
    """

    run: Run
    round: Round

    def step(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Steps the buckets that got frames."""
        results: list[BucketResult] = []
        reports: list[pa.RecordBatch] = []
        with self.run.sink.writer(BATCH, _part(self.round, _task())) as writer:
            for bucket, frames in by_bucket(without_reports(batches, reports)):
                mine, later = _mine(self.round, frames)
                done = self.round.step(0, bucket, {}, Inbox.of(mine), Watermarks(BEGINNING, END))
                writer.write(done.records)
                results.append(BucketResult(self.round.number, bucket, counters=done.counters))
                yield from rows([*later, *(sent.frame() for sent in done.onward)])
        yield from reports
        yield report_row(Report(tuple(results), writer.parts).payload())


@dataclass(frozen=True)
class OneStep:
    """A round of one step of a streaming job.

    Attributes:
        run: The run.
        round: The round.
        before: The checkpoint before the step.
        tasks: How many tasks step buckets; bucket `b` belongs to task `b % tasks`.
        arrived: When the step's records had arrived, in epoch ms.
    """

    run: Run
    round: Round
    before: Manifest
    tasks: int
    arrived: int = 0

    def arrive(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Steps the buckets that got events, and those that have become due."""
        reports: list[pa.RecordBatch] = []
        groups = by_bucket(without_reports(batches, reports))
        first = next(groups, None)
        # Every bucket gets all TIME frames of the step, so the first bucket's settle the clock.
        latest = latest_by_partition(first[1]) if first else {}
        clock = self.before.clock.observe(latest, self.arrived)
        yield from self._take(chain([first] if first else [], groups), clock, latest)
        yield from reports

    def end(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Steps all buckets that hold something, with the watermark at infinity."""
        reports: list[pa.RecordBatch] = []
        yield from self._take(by_bucket(without_reports(batches, reports)), self.before.clock.ended(), {})
        yield from reports

    def begin_end(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """As `end`, for the first round, which no events reach; takes a row a task, of anything."""
        deque(batches, maxlen=0)  # Spark keeps a worker for further tasks only when it has read all its input
        return self.end(iter(()))

    def _take(
        self, groups: Iterable[tuple[int, list[Frame]]], clock: Clock, latest: Mapping[str, int]
    ) -> Iterator[pa.RecordBatch]:
        moments = clock.since(self.before.clock)
        task = _task()
        quiet = set(range(task, self.run.settings.buckets, self.tasks))
        results: list[BucketResult] = []
        with self.run.sink.writer(step_name(self.before.step), _part(self.round, task)) as writer:
            for bucket, frames in groups:
                mine, later = _mine(self.round, frames)
                yield from rows(later)
                if any(frame.kind is not Kind.TIME for frame in mine):
                    quiet.remove(bucket)
                    yield from self._step(bucket, mine, moments, writer, results)
            for bucket in sorted(quiet):
                if self.before.rounds[self.round.number][bucket].due_at(clock.watermark):
                    yield from self._step(bucket, (), moments, writer, results)
        yield report_row(Report(tuple(results), writer.parts, latest).payload())

    def _step(
        self,
        bucket: int,
        frames: Iterable[Frame],
        moments: Watermarks,
        writer: PartWriter,
        results: list[BucketResult],
    ) -> Iterator[pa.RecordBatch]:
        """Steps a bucket, adds its result to the others, and gives what it sends on."""
        checkpoint, step = self.run.checkpoint, self.before.step
        state = checkpoint.read_state(self.before.rounds[self.round.number][bucket], self.round.stages)
        done = self.round.step(step, bucket, state, Inbox.of(frames), moments)
        writer.write(done.records)
        results.append(BucketResult.saved(checkpoint, step, self.round, bucket, done))
        yield from rows(sent.frame() for sent in done.onward)


def _mine(round_: Round, frames: Iterable[Frame]) -> tuple[list[Frame], list[Frame]]:
    """The frames that are for a round, and those that go on to later ones; time goes to all."""
    mine, later = [], []
    last = round_.number == len(round_.plan.rounds) - 1
    for frame in frames:
        if round_.takes(frame):
            mine.append(frame)
        if not last and (frame.kind is Kind.TIME or not round_.takes(frame)):
            later.append(frame)
    return mine, later


def _task() -> int:
    """The number of the task that this code runs in."""
    context = TaskContext.get()
    assert context is not None
    return context.partitionId()


def _part(round_: Round, task: int) -> str:
    """The name of a task's output files; a task that is run again replaces them."""
    return f"r{round_.number}p{task:05d}"
