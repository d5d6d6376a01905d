"""Splits as rows of frames: in a batch job, and as a streaming source whose offsets are steps.

The streaming source is a Python data source (Spark 4.2, `pyspark.sql.datasource`). Its offset is
`{"step": n, "position": …, "arrived": ms}`: the step that begins there, what was taken of each stream before it, and
when that had arrived. One micro-batch is one step, so the admission control (`latestOffset` with a limit) never lets two steps into one.
"""

from __future__ import annotations

import json
import pickle
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadLimit, ReadMaxFiles, SupportsTriggerAvailableNow
from pyspark.sql.types import StructType

from common.runtime.checkpoint import Manifest
from common.runtime.frames import Frame, Kind
from common.runtime.run import Run, now_ms
from common.streams.folder import Arrivals, Position, Split, cut
from common.streams.source import Source

FORMAT = "adstream-arrivals"
FRAMES = pa.schema(
    [
        pa.field("bucket", pa.int32()),
        pa.field("kind", pa.string()),
        pa.field("partition", pa.string()),
        pa.field("latest", pa.int64()),
        pa.field("payload", pa.binary()),
        pa.field("stage", pa.string()),
        pa.field("order", pa.string()),
        pa.field("records", pa.int64()),
    ]
)
FRAMES_DDL = (
    "bucket int, kind string, partition string, latest long, payload binary, stage string, `order` string, records long"
)
REPORT = "report"
"""The kind of a row that carries the report of a task of an earlier round to the driver."""
SPLIT_BYTES = 2 * 2**20
"""About how much of a file one task of a step reads."""
ROW_BYTES = 8 * 2**20
"""How many payload bytes are handed to the JVM at a time."""


@dataclass(frozen=True)
class ReadSplits:
    """Reads splits by their number, in the tasks of a batch job.

    Time stands still in a batch job, so `TIME` frames are left out.

    Attributes:
        run: The run.
        splits: All splits of the job.
        now: The wall clock of the whole job, in epoch ms.
    """

    run: Run
    splits: tuple[Split, ...]
    now: int

    def read(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Numbers of splits (column `id`) to rows of `FRAMES`."""
        for batch in numbers:
            for number in batch.column("id").to_pylist():
                frames = self.run.front.frames(self.splits[number], self.now)
                yield from rows(frame for frame in frames if frame.kind is not Kind.TIME)


def rows(frames: Iterable[Frame]) -> Iterator[pa.RecordBatch]:
    """Frames as rows of `FRAMES`, in batches of about `ROW_BYTES`."""
    held: list[Frame] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += len(frame.payload)
        if size >= ROW_BYTES:
            yield _rows(held)
            held, size = [], 0
    if held:
        yield _rows(held)


def by_bucket(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, list[Frame]]]:
    """The frames of each bucket, one bucket after another.

    Args:
        batches: Rows of `FRAMES`, sorted by bucket.
    """
    for bucket, frames in groupby(_frames(batches), key=lambda frame: frame.bucket):
        yield bucket, list(frames)


def report_row(payload: bytes) -> pa.RecordBatch:
    """A report as a row of `FRAMES`."""
    columns: list[Any] = [0, REPORT, "", 0, payload, "", "", 0]
    return pa.record_batch([pa.array([c], f.type) for c, f in zip(columns, FRAMES, strict=True)], schema=FRAMES)


def without_reports(batches: Iterable[pa.RecordBatch], reports: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of `FRAMES`, but for reports, which are put into a list to be passed on."""
    for batch in batches:
        told = pc.equal(batch.column("kind"), REPORT)
        reports.append(batch.filter(told))
        yield batch.filter(pc.invert(told))


def _rows(frames: list[Frame]) -> pa.RecordBatch:
    columns = zip(
        *((f.bucket, f.kind.value, f.partition, f.latest, f.payload, f.stage, f.order, f.records) for f in frames),
        strict=True,
    )
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, FRAMES, strict=True)], schema=FRAMES)


def _frames(batches: Iterable[pa.RecordBatch]) -> Iterator[Frame]:
    for batch in batches:
        for bucket, kind, *rest in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            yield Frame(bucket, Kind(kind), *rest)


class ArrivalsSource(DataSource):
    """The arrivals of a run's input as a stream of frames; its options are what `options` gives."""

    @classmethod
    def name(cls) -> str:
        """The name for `readStream.format`."""
        return FORMAT

    def schema(self) -> str:
        """`FRAMES`."""
        return FRAMES_DDL

    def streamReader(self, schema: StructType) -> ArrivalsReader:  # noqa: N802 (Spark's name)
        """The reader, which begins at the options `step` and `position`."""
        source: Source = pickle.loads(b64decode(self.options["source"]))  # noqa: S301 (as below)
        beginning = {"step": int(self.options["step"]), "position": json.loads(self.options["position"]), "arrived": 0}
        return ArrivalsReader(source, self.options["run"], beginning, int(self.options["tasks"]))


def options(run: Run, manifest: Manifest) -> dict[str, str]:
    """The options of `ArrivalsSource` for a run that goes on from a checkpoint.

    The run is pickled: the process that plans steps never opens it, and so starts in half the time.
    """
    return {
        "run": b64encode(pickle.dumps(run)).decode(),
        "source": b64encode(pickle.dumps(run.source)).decode(),
        "tasks": str(run.settings.parallelism),
        "step": str(manifest.step),
        "position": json.dumps(asdict(manifest.position)),
    }


class StepSplits(InputPartition):
    """Splits of a step, read by one task."""

    def __init__(self, splits: tuple[Split, ...], now: int) -> None:
        super().__init__(splits)
        self.splits = splits
        self.now = now


class ArrivalsReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans steps in Spark's driver, and reads their splits in its tasks.

    Args:
        source: The input.
        run: The run, as `options` pickled it.
        beginning: The offset to begin with.
        tasks: How many tasks share the splits of a step.
    """

    def __init__(self, source: Source, run: str, beginning: dict[str, Any], tasks: int) -> None:
        self._source = source
        self._run = run
        self._beginning = beginning
        self._tasks = tasks
        self._arrivals: dict[int, Arrivals] = {}
        self._last_step: int | None = None

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802
        """The offset before the first step of this run."""
        return self._beginning

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """One file (of each stream) a micro-batch."""
        return ReadMaxFiles(1)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Notes the last step there is now: a run that catches up does not chase what arrives meanwhile."""
        offset, ahead = self._beginning, self._next(self._beginning)
        while ahead != offset:
            offset, ahead = ahead, self._next(ahead)
        self._last_step = offset["step"]

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """The offset after the next step; `start` itself while nothing further has arrived."""
        if self._last_step is not None and start["step"] >= self._last_step:
            return start
        return self._next(start)

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[StepSplits]:
        """The splits between two offsets, dealt to a few tasks: a task costs more than a partition with little in it."""
        now = now_ms()
        steps = range(start["step"], end["step"])
        arrived = [split for step in steps for split in self._arrivals[step].splits]
        splits = cut(arrived, SPLIT_BYTES)
        return [StepSplits(splits[task :: self._tasks], now) for task in range(min(self._tasks, len(splits)))]

    def commit(self, end: dict[str, Any]) -> None:
        """Forgets the arrivals of complete steps."""
        self._arrivals = {step: taken for step, taken in self._arrivals.items() if step >= end["step"]}

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The splits' frames, as rows of `FRAMES`."""
        assert isinstance(partition, StepSplits)
        run: Run = pickle.loads(b64decode(self._run))  # noqa: S301 (this process's own driver made it)
        return rows(frame for split in partition.splits for frame in run.front.frames(split, partition.now))

    def _next(self, start: dict[str, Any]) -> dict[str, Any]:
        step = start["step"]
        if step not in self._arrivals:
            arrivals = self._source.next_step(Position(**start["position"]))
            if arrivals is None:
                return start
            self._arrivals[step] = arrivals
        taken = self._arrivals[step]
        return {"step": step + 1, "position": asdict(taken.position), "arrived": taken.arrived}
