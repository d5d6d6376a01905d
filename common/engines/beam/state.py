"""The keyed half: buckets stepped whole in `batch` mode, and step by step, with state and timers, in `stream` mode.

Beam promises no order. In `stream` mode a bucket therefore buffers what arrives, and steps when the
watermark says that a step is complete: the answer follows from the steps alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder, PickleCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from common.engines.beam.sinks import BucketEnd, packed
from common.engines.beam.sources import Arrived
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import BucketStep, Inbox, Kept, Round, pack_state, unpack_state
from common.runtime.checkpoint import BucketState, Manifest
from common.runtime.clock import Clock
from common.runtime.frames import Frame, Kind, latest_by_partition
from common.runtime.run import BATCH, BucketResult, Run
from common.streams.staging import step_name

RECORDS, ENDS, ONWARD = "records", "ends", "onward"
"""The outputs of a stepping transform: `(PartKey, Packed)`, one `BucketEnd` a bucket, `(bucket, Arrived)` for later rounds."""


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
        return Held(clock, BucketState({}, step.due, step.gauges), dict(counters), stepped=True)


class StepWhole(beam.DoFn):
    """Takes a round of each bucket once, over all that arrived: `(bucket, [Arrived])` of a bounded input."""

    def __init__(self, run: Run, round_: Round) -> None:
        self._run = run
        self._round = round_

    def process(self, element: tuple[int, Iterable[Arrived]]) -> Iterator[Any]:
        bucket, arrived = element
        inbox = Inbox.of(item.frame for item in arrived if item.frame is not None)
        done = self._round.step(0, bucket, {}, inbox, Watermarks(BEGINNING, END))
        yield from _given(self._run, self._round, 0, BATCH, bucket, done)
        result = BucketResult(self._round.number, bucket, counters=done.counters)
        yield beam.pvalue.TaggedOutput(ENDS, BucketEnd(None, result))


class StepInOrder(beam.DoFn):
    """Takes a round of each bucket through the steps of a course: `(bucket, Arrived)`.

    Event time (s) is the step plus the number of the round.

    Args:
        run: The run.
        round_: The round.
        course: The steps to take.
        manifest: The checkpoint before them.
    """

    ARRIVED = BagStateSpec("arrived", PickleCoder())
    HELD = ReadModifyWriteStateSpec("held", PickleCoder())
    TABLE = ReadModifyWriteStateSpec("table", BytesCoder())
    COMPLETE = TimerSpec("complete", TimeDomain.WATERMARK)

    def __init__(self, run: Run, round_: Round, course: Course, manifest: Manifest) -> None:
        self._run = run
        self._round = round_
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
            # A watermark past the step's own time in this round: nothing of the step can still come.
            complete.set(Timestamp(item.step + self._round.number + 1), dynamic_timer_tag=str(item.step))

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
        before = held.read() or Held(self._manifest.clock, self._manifest.rounds[self._round.number][bucket])
        clock = self._course.clock_after(before.clock, step, frames)
        after = before.passed(clock)
        if before.kept.due <= clock.watermark or any(frame.kind is not Kind.TIME for frame in frames):
            state, moments = self._state(bucket, table), clock.since(before.clock)
            done = self._round.step(step, bucket, state, Inbox.of(frames), moments)
            after = before.touched(clock, done)
            table.write(pack_state(done.state))
            yield from _given(self._run, self._round, step, step_name(step), bucket, done)
        held.write(after)
        if step == self._course.last:
            yield beam.pvalue.TaggedOutput(ENDS, self._end(bucket, after, table))

    def _state(self, bucket: int, table: Any) -> Mapping[str, Kept]:
        packed = table.read()
        if packed is not None:
            return unpack_state(packed)
        kept = self._manifest.rounds[self._round.number][bucket]
        return self._run.checkpoint.read_state(kept, self._round.stages)

    def _end(self, bucket: int, held: Held, table: Any) -> BucketEnd:
        if not held.stepped:
            return BucketEnd(held.clock, None)
        stored = self._run.checkpoint.write_state(self._course.last, bucket, self._state(bucket, table))
        kept = replace(held.kept, stored=stored)
        return BucketEnd(held.clock, BucketResult(self._round.number, bucket, kept, held.counters))


def _given(run: Run, round_: Round, step: int, name: str, bucket: int, done: BucketStep) -> Iterator[Any]:
    """What a bucket's step gives to the sinks, to later rounds, and to a Beam UI."""
    for counter, count in done.counters.items():
        Metrics.counter(round_.name, counter).inc(count)  # the run's own come back in its report
    shard = round_.number * run.settings.parallelism + bucket % run.settings.parallelism
    yield from packed(name, shard, done.records.items())
    for sent in done.onward:
        yield beam.pvalue.TaggedOutput(ONWARD, (sent.bucket, Arrived(step, sent.frame())))
