"""The keyed half: buckets stepped whole in `batch` mode, and step by step, with state and timers, in `stream` mode.

Beam promises no order. In `stream` mode a bucket therefore buffers what arrives, and steps when the
watermark says that a step is complete: the answer follows from the steps alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder, PickleCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from common.engines.beam.sinks import BucketEnd, Packed, PartKey, packed
from common.engines.beam.sources import Arrived
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import BucketStep, step_bucket
from common.runtime.checkpoint import BucketState, Manifest
from common.runtime.clock import Clock
from common.runtime.frames import Frame, Kind, latest_by_partition, pack, unpack
from common.runtime.run import BATCH, BucketResult, Run, step_name

RECORDS, ENDS = "records", "ends"
"""The outputs of a stepping transform: `(PartKey, Packed)`, and one `BucketEnd` a bucket."""


@dataclass(frozen=True)
class Course:
    """The steps that one pipeline takes.

    Attributes:
        first: The first step.
        last: The last one.
        ends: Whether the last step is the end of the input: no events, the watermark at infinity.
        arrived: When the records of each step had arrived, in epoch ms.
    """

    first: int
    last: int
    ends: bool
    arrived: tuple[int, ...]

    def clock_after(self, clock: Clock, step: int, frames: Iterable[Frame]) -> Clock:
        """The clock after a step, from the clock before it and the step's frames."""
        if self.ends and step == self.last:
            return clock.ended()
        return clock.observe(latest_by_partition(frames), self.arrived[step - self.first])


@dataclass(frozen=True)
class Held:
    """What a bucket holds between steps, beside its table.

    Attributes:
        clock: The clock after the last step.
        kept: When the bucket is due again, and its gauges.
        counters: The counters of the steps of this pipeline.
        stepped: Whether a step of this pipeline touched the bucket.
    """

    clock: Clock
    kept: BucketState
    counters: Mapping[str, int] = field(default_factory=dict)
    stepped: bool = False

    def passed(self, clock: Clock) -> Held:
        """After a step that did not touch the bucket."""
        return Held(clock, self.kept, self.counters, self.stepped)

    def touched(self, clock: Clock, step: BucketStep) -> Held:
        """After a step that did."""
        counters = Counter(self.counters)
        counters.update(step.counters)
        return Held(clock, BucketState("", step.due, step.gauges), dict(counters), stepped=True)


class StepWhole(beam.DoFn):
    """Steps each bucket once over all that arrived: `(bucket, [Arrived])` of a bounded input."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def process(self, element: tuple[int, Iterable[Arrived]]) -> Iterator[Any]:
        bucket, arrived = element
        frames = [item.frame for item in arrived if item.frame is not None]
        empty = self._run.plan.operator.state_schema.empty_table()
        step = step_bucket(self._run.plan, empty, frames, Watermarks(BEGINNING, END))
        _show(self._run.plan.process_id, step.counters)
        yield from _records(self._run, BATCH, bucket, step)
        yield beam.pvalue.TaggedOutput(ENDS, BucketEnd(None, BucketResult(bucket, "", END, step.counters, step.gauges)))


class StepInOrder(beam.DoFn):
    """Steps each bucket through the steps of a course: `(bucket, Arrived)`, event time = the step (s).

    Args:
        run: The run.
        course: The steps to take.
        manifest: The checkpoint before them.
    """

    ARRIVED = BagStateSpec("arrived", PickleCoder())
    HELD = ReadModifyWriteStateSpec("held", PickleCoder())
    TABLE = ReadModifyWriteStateSpec("table", BytesCoder())
    COMPLETE = TimerSpec("complete", TimeDomain.WATERMARK)

    def __init__(self, run: Run, course: Course, manifest: Manifest) -> None:
        self._run = run
        self._course = course
        self._manifest = manifest

    def process(
        self,
        element: tuple[int, Arrived],
        arrived: Any = beam.DoFn.StateParam(ARRIVED),
        complete: Any = beam.DoFn.TimerParam(COMPLETE),
    ) -> None:
        _, item = element
        arrived.add(item)
        if item.frame is None:
            # A watermark past the step's own time: nothing of the step can still come.
            complete.set(Timestamp(item.step + 1), dynamic_timer_tag=str(item.step))

    @on_timer(COMPLETE)
    def take(
        self,
        bucket: Any = beam.DoFn.KeyParam,
        step: Any = beam.DoFn.DynamicTimerTagParam,
        arrived: Any = beam.DoFn.StateParam(ARRIVED),
        held: Any = beam.DoFn.StateParam(HELD),
        table: Any = beam.DoFn.StateParam(TABLE),
    ) -> Iterator[Any]:
        """Takes the step that is complete, after all before it, whatever order the timers fire in."""
        waiting, due = list(arrived.read()), defaultdict[int, list[Frame]](list)
        arrived.clear()
        for item in waiting:
            if item.step > int(step):
                arrived.add(item)
            elif item.frame is None:
                due.setdefault(item.step, [])
            else:
                due[item.step].append(item.frame)
        for number in sorted(due):
            yield from self._take(bucket, number, due[number], held, table)

    def _take(self, bucket: int, step: int, frames: list[Frame], held: Any, table: Any) -> Iterator[Any]:
        before = held.read() or Held(self._manifest.clock, self._manifest.buckets[bucket])
        clock = self._course.clock_after(before.clock, step, frames)
        after = before.passed(clock)
        if before.kept.due <= clock.watermark or any(frame.kind is not Kind.TIME for frame in frames):
            stepped = step_bucket(self._run.plan, self._table(bucket, table), frames, clock.since(before.clock))
            after = before.touched(clock, stepped)
            table.write(pack(stepped.state))
            _show(self._run.plan.process_id, stepped.counters)
            yield from _records(self._run, step_name(step), bucket, stepped)
        held.write(after)
        if step == self._course.last:
            yield beam.pvalue.TaggedOutput(ENDS, self._end(bucket, after, table))

    def _table(self, bucket: int, table: Any) -> Any:
        kept = table.read()
        if kept is not None:
            return unpack(kept)
        schema = self._run.plan.operator.state_schema
        return self._run.checkpoint.read_state(self._manifest.buckets[bucket], schema)

    def _end(self, bucket: int, held: Held, table: Any) -> BucketEnd:
        if not held.stepped:
            return BucketEnd(held.clock, None)
        path = self._run.checkpoint.write_state(self._course.last, bucket, self._table(bucket, table))
        return BucketEnd(held.clock, BucketResult(bucket, path, held.kept.due, held.counters, held.kept.gauges))


def _records(run: Run, step: str, bucket: int, stepped: BucketStep) -> Iterator[tuple[PartKey, Packed]]:
    return packed(step, bucket % run.settings.parallelism, stepped.records.items())


def _show(operator: str, counters: Mapping[str, int]) -> None:
    """Counters for a Beam UI; the run's own come back in its report."""
    for name, count in counters.items():
        Metrics.counter(operator, name).inc(count)
