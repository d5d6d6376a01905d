"""A plan on Spark: tasks over splits, a shuffle by bucket, tasks over buckets.

    batch    splits ─ mapInArrow(ReadSplits) ─ (shuffle by bucket ─ mapInArrow(WholeInput)) a round ─ reports to the driver
    stream   ArrivalsSource ─ foreachBatch: (shuffle by bucket ─ mapInArrow(OneStep)) a round ─ reports to the driver

Frames are shuffled, not records; records go from the tasks straight to the sink, and state straight to the
checkpoint. The suite's manifest is the truth about what was done. Spark's own streaming checkpoint serves one
query only: each run has a new one, below the suite's, and removes it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from common.engines.spark.sinks import Reports
from common.engines.spark.sources import FORMAT, FRAMES_DDL, ArrivalsSource, ReadSplits, options
from common.engines.spark.state import OneStep, WholeInput
from common.errors import told_in
from common.operators.step import END
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.run import BATCH, Run, now_ms
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.folder import Position

SPLIT_BYTES = 32 * 2**20
READ_TASKS = 4
"""How many tasks a core the splits of a batch job are dealt to: enough to even out, few enough to start."""
TRIGGER = "200 milliseconds"
"""How often a stream looks for arrivals once it has caught up."""
STOP_SECONDS = 1
"""How often a run without an end looks whether it is to stop."""
QUERIES = "spark"
"""Where below the suite's checkpoint the checkpoints of Spark's queries are."""


def run(spec: JobSpec) -> Summary:
    """Runs one job in the Spark session of this process."""
    opened = Run.open(spec)
    spark = SparkSession.builder.getOrCreate()
    with _plain_errors():
        return _batch(spark, opened) if spec.mode == "batch" else _stream(spark, opened)


def _batch(spark: SparkSession, run: Run) -> Summary:
    started = time.monotonic()
    run.sink.clear()
    tasks = run.settings.parallelism
    splits = run.source.everything(SPLIT_BYTES)
    numbers = spark.range(len(splits), numPartitions=max(1, min(len(splits), READ_TASKS * tasks)))
    frames = numbers.mapInArrow(ReadSplits(run, splits, now_ms()).read, FRAMES_DDL)
    for round_ in run.rounds:
        frames = _shuffled(frames, tasks).mapInArrow(WholeInput(run, round_).step, FRAMES_DDL)
    reports = _collect(frames)
    counters: Counter[str] = Counter()
    for result in reports.results():
        counters.update(result.counters)
    run.sink.deliver(BATCH, reports.parts())
    return run.summary(counters, started, steps=1, watermark=END)


def _stream(spark: SparkSession, run: Run) -> Summary:
    started = time.monotonic()
    manifest = run.resume()
    queries = run.spec.workplace / QUERIES
    shutil.rmtree(queries, ignore_errors=True)  # what a run that was killed left
    queries.mkdir(parents=True)
    steps = _Steps(run, manifest, Path(tempfile.mkdtemp(dir=queries)))
    try:
        steps.take_arrivals(spark)
        if run.spec.drain:
            steps.end(spark)
    finally:
        shutil.rmtree(queries, ignore_errors=True)
    manifest = steps.manifest
    return run.summary(run.metrics(manifest), started, manifest.step, manifest.clock.watermark)


class _Steps:
    """The driver's side of a streaming run: it makes step after step complete.

    Args:
        run: The run.
        manifest: The checkpoint to go on from.
        query: The folder of the query's own checkpoint.
    """

    def __init__(self, run: Run, manifest: Manifest, query: Path) -> None:
        self.manifest = manifest
        self._run = run
        self._query = query
        self._tasks = run.settings.parallelism
        self._failure: Exception | None = None
        self._taking = Lock()
        self._stopped = False

    def take_arrivals(self, spark: SparkSession) -> None:
        """Runs the query: until the arrivals there are now were taken, or for ever."""
        spark.dataSource.register(ArrivalsSource)
        arrivals = spark.readStream.format(FORMAT).options(**options(self._run, self.manifest))
        query = (
            arrivals.load()
            .writeStream.queryName(self._run.spec.job)
            .option("checkpointLocation", self._query.absolute().as_uri())
            .trigger(**({"availableNow": True} if self._run.spec.until_caught_up else {"processingTime": TRIGGER}))
            .foreachBatch(self._take)
            .start()
        )
        try:
            while not query.awaitTermination(STOP_SECONDS):
                if self._run.is_stopping:
                    # A step that is being taken is taken to its end, and none after it.
                    with self._taking:
                        self._stopped = True
                    return
        except PySparkException:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            query.stop()

    def end(self, spark: SparkSession) -> None:
        """Takes the step that no events follow."""
        first, *others = self._rounds()
        frames = spark.range(self._tasks, numPartitions=self._tasks).mapInArrow(first.begin_end, FRAMES_DDL)
        for step in others:
            frames = _shuffled(frames, self._tasks).mapInArrow(step.end, FRAMES_DDL)
        self._complete(self.manifest.position, self.manifest.clock.ended(), _collect(frames))

    def _take(self, frames: DataFrame, batch: int) -> None:
        """Takes one micro-batch, which is one step; none once the run was asked to stop."""
        with self._taking:
            if not self._stopped:
                self._take_step(frames, batch)

    def _take_step(self, frames: DataFrame, batch: int) -> None:
        try:
            offset = self._offset(batch)
            if offset["step"] == self.manifest.step:
                return  # a query's first micro-batch comes even when nothing has arrived: that is no step
            assert offset["step"] == self.manifest.step + 1, "a micro-batch is one step"
            arrived = offset["arrived"]
            for step in self._rounds(arrived):
                frames = _shuffled(frames, self._tasks).mapInArrow(step.arrive, FRAMES_DDL)
            reports = _collect(frames)
            clock = self.manifest.clock.observe(reports.latest(), arrived)
            self._complete(Position(**offset["position"]), clock, reports)
        except Exception as error:  # Spark passes on only its text
            self._failure = error
            raise

    def _rounds(self, arrived: int = 0) -> list[OneStep]:
        return [OneStep(self._run, round_, self.manifest, self._tasks, arrived) for round_ in self._run.rounds]

    def _complete(self, position: Position, clock: Clock, reports: Reports) -> None:
        self.manifest = self._run.complete(self.manifest, position, clock, reports.results(), reports.parts())

    def _offset(self, batch: int) -> dict[str, Any]:
        """The step and position that a micro-batch leads to: the offset that Spark wrote ahead of it.

        Spark's offset log has a file a micro-batch: its version, its metadata, then an offset a source.
        """
        offset: dict[str, Any] = json.loads((self._query / "offsets" / str(batch)).read_text().splitlines()[2])
        return offset


def _shuffled(frames: DataFrame, tasks: int) -> DataFrame:
    """Frames of bucket `b` in task `b % tasks`, bucket after bucket."""
    return frames.repartitionById(tasks, "bucket").sortWithinPartitions("bucket")


def _collect(reports: DataFrame) -> Reports:
    """Runs all rounds of a step, as one Spark job; after the last, nothing is left but reports."""
    return Reports.load(bytes(row.payload) for row in reports.select("payload").collect())


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raises again, as itself, a failure of the suite's own that comes back from a task as the text of a trace."""
    try:
        yield
    except PySparkException as error:
        told = told_in(str(error))
        if told is None:
            raise
        raise told from error
