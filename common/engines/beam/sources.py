"""From splits to what the shuffle carries: frames by bucket, each of its step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import TimestampedValue

from common.runtime.frames import Frame
from common.runtime.front import Front
from common.streams.folder import Split


@dataclass(frozen=True)
class Arrived:
    """What the shuffle brings to a bucket.

    Attributes:
        step: The step it arrives in.
        frame: What arrives; None tells that the step takes place, whether anything arrives or not.
    """

    step: int
    frame: Frame | None = None


ByBucket: TypeAlias = PCollection[tuple[int, Arrived]]


class Read(beam.PTransform[beam.Pipeline, ByBucket]):
    """The frames of one stream's splits, as `(bucket, Arrived)`, with the step for event time (s).

    Args:
        front: Reads splits.
        splits: What to read, with the step that each belongs to.
        now: The wall clock of the driver, in epoch ms, so that a bundle that is tried again decides
            as it did before.
    """

    def __init__(self, front: Front, splits: Iterable[tuple[int, Split]], now: int) -> None:
        super().__init__()
        self._front = front
        self._splits = tuple(splits)
        self._now = now

    def expand(self, pbegin: beam.Pipeline) -> ByBucket:
        # Without the reshuffle the splits would be fused with their creation, and read by one worker.
        return (
            pbegin
            | "Splits" >> beam.Create(self._splits, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Frames" >> beam.ParDo(_ReadFrames(self._front, self._now)).with_output_types(tuple[int, Arrived])
        )


class Steps(beam.PTransform[beam.Pipeline, ByBucket]):
    """Tells every bucket, as `(bucket, Arrived)`, which steps take place.

    Args:
        steps: The steps of this pipeline.
        buckets: How many buckets the job has.
    """

    def __init__(self, steps: Iterable[int], buckets: int) -> None:
        super().__init__()
        self._steps = tuple(steps)
        self._buckets = buckets

    def expand(self, pbegin: beam.Pipeline) -> ByBucket:
        return (
            pbegin
            | "Numbers" >> beam.Create(self._steps, reshuffle=False)
            | "Every bucket" >> beam.ParDo(_TellBuckets(self._buckets)).with_output_types(tuple[int, Arrived])
        )


class _ReadFrames(beam.DoFn):
    def __init__(self, front: Front, now: int) -> None:
        self._front = front
        self._now = now

    def process(self, element: tuple[int, Split]) -> Iterator[TimestampedValue[tuple[int, Arrived]]]:
        step, split = element
        for frame in self._front.frames(split, self._now):
            yield TimestampedValue((frame.bucket, Arrived(step, frame)), step)


class _TellBuckets(beam.DoFn):
    def __init__(self, buckets: int) -> None:
        self._buckets = buckets

    def process(self, element: int) -> Iterator[TimestampedValue[tuple[int, Arrived]]]:
        for bucket in range(self._buckets):
            yield TimestampedValue((bucket, Arrived(element)), element)
