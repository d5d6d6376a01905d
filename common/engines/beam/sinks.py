"""From stepped buckets to part files, and what a pipeline tells its driver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from common.files import staged
from common.runtime.clock import Clock
from common.runtime.frames import pack, unpack
from common.runtime.run import BucketResult
from common.streams.sink import Part, Sink

PartKey: TypeAlias = tuple[str, int]
"""The step's name and the shard."""
Packed: TypeAlias = tuple[str, bytes]
"""A sink stream and its records, as an Arrow IPC stream."""


@dataclass(frozen=True)
class Written:
    """A part file that a task staged.

    Attributes:
        step: The name of the step that it is an output of.
        part: The file.
    """

    step: str
    part: Part


@dataclass(frozen=True)
class BucketEnd:
    """What a bucket reports when it has taken all steps of a pipeline.

    Attributes:
        clock: The clock after the last step, the same in all buckets; None in `batch` mode.
        result: What changed; None when no step touched the bucket.
    """

    clock: Clock | None
    result: BucketResult | None


@dataclass(frozen=True)
class Report:
    """What a pipeline did. Beam brings no values back to the driver, so it comes in a file.

    Beam's metrics would not do: a runner may count a bundle that it tried twice, twice.
    """

    ends: tuple[BucketEnd, ...]
    written: tuple[Written, ...]

    def save(self, path: Path) -> None:
        """Writes the report; of several attempts, one whole report stays."""
        with staged(path) as place:
            place.write_text(json.dumps(asdict(self)))

    @classmethod
    def take(cls, path: Path) -> Report:
        """Reads the report and removes it."""
        content = json.loads(path.read_text())
        path.unlink()
        return cls(
            ends=tuple(_end(end) for end in content["ends"]),
            written=tuple(Written(w["step"], Part(**w["part"])) for w in content["written"]),
        )

    def parts(self, step: str) -> Iterator[Part]:
        """The parts of a step, in the order of their names."""
        return iter(sorted((w.part for w in self.written if w.step == step), key=lambda part: part.path))

    def results(self) -> Iterator[BucketResult]:
        """The buckets that were stepped."""
        return (end.result for end in self.ends if end.result is not None)


Told: TypeAlias = tuple[PCollection[BucketEnd], PCollection[Written]]


class Write(beam.PTransform[PCollection[tuple[PartKey, Packed]], PCollection[Written]]):
    """Writes packed records, keyed by step and shard, to one part a key; gives `Written`.

    Every attempt at a bundle stages files of its own. Only those of the attempt that the runner commits
    are reported, and so delivered, under a name that follows from the key.
    """

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def expand(self, packed: PCollection[tuple[PartKey, Packed]]) -> PCollection[Written]:
        return (
            packed
            | "By part" >> beam.GroupByKey()
            | "Part files" >> beam.ParDo(_WritePart(self._sink)).with_output_types(Written)
        )


class Tell(beam.PTransform[Told, PCollection[None]]):
    """Saves the report of a pipeline, once all buckets and parts are through.

    Args:
        path: Where the driver looks for it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def expand(self, told: Told) -> PCollection[None]:
        ends, written = told
        return (
            ends.pipeline
            | "Once" >> beam.Create([str(self._path)], reshuffle=False)
            | "Save" >> beam.Map(_save, beam.pvalue.AsList(ends), beam.pvalue.AsList(written))
        )


def packed(step: str, shard: int, records: Iterable[tuple[str, pa.Table]]) -> Iterator[tuple[PartKey, Packed]]:
    """A step's records as `Write` takes them.

    Args:
        step: The step's name.
        shard: Which of the step's parts they go to.
        records: Contract records, by sink stream.
    """
    for stream, table in records:
        yield (step, shard), (stream, pack(table))


class _WritePart(beam.DoFn):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def process(self, element: tuple[PartKey, Iterable[Packed]]) -> Iterator[Written]:
        (step, shard), tables = element
        with self._sink.writer(step, f"p{shard}") as writer:
            for stream, payload in tables:
                writer.write({stream: unpack(payload)})
        for part in writer.parts:
            yield Written(step, part)


def _save(path: str, ends: Sequence[BucketEnd], written: Sequence[Written]) -> None:
    Report(tuple(ends), tuple(written)).save(Path(path))


def _end(content: dict[str, Any]) -> BucketEnd:
    clock, result = content["clock"], content["result"]
    return BucketEnd(Clock(**clock) if clock else None, BucketResult.of(result) if result else None)
