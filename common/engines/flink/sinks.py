"""Writing a step's records in parts, and making steps complete, one after another."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyflink.common import Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from common.engines.entry import log_to
from common.engines.flink.pace import Pace
from common.engines.flink.sources import Arrived, Turn
from common.engines.flink.state import Stepped
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.frames import Frame, unpack
from common.runtime.orders import STOPPED
from common.runtime.run import BucketResult, Run
from common.streams.sink import Part


@dataclass(frozen=True)
class Written:
    """A shard of a round of a step: its buckets' results, and the staged files that hold their records."""

    turn: Turn
    clock: Clock
    results: tuple[BucketResult, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Course:
    """The suite's checkpoint after the steps that are complete, the next turn, and the shards there are of it and later ones."""

    manifest: Manifest
    turn: int
    waiting: tuple[Written, ...] = ()


def shard_of(stepped: Stepped) -> int:
    """Which part of its step a bucket is written to."""
    return stepped.bucket % stepped.turn.shards


def shard_key(stepped: Stepped) -> str:
    """The key by which the buckets of a shard of a step meet."""
    return f"{stepped.turn.number}/{stepped.round}/{shard_of(stepped)}"


class WholeShards(KeyedProcessFunction):
    """Waits until all buckets of a shard of a round were stepped; keyed by `shard_key`.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declares the keyed state; the names are part of savepoints."""
        self._stepped = runtime_context.get_list_state(ListStateDescriptor("stepped", Types.PICKLED_BYTE_ARRAY()))
        self._count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value: Stepped, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Takes a bucket's step; gives what becomes of the shard with its last one."""
        count = (self._count.value() or 0) + 1
        shard, shards = shard_of(value), value.turn.shards
        if count < len(range(shard, self._run.settings.buckets, shards)):
            self._stepped.add(value)
            self._count.update(count)
            return
        shard_steps = [*self._stepped.get(), value]
        self._stepped.clear()
        self._count.clear()
        yield from self.whole(shard, shard_steps)

    def whole(self, shard: int, steps: list[Stepped]) -> Iterator[Any]:
        """What becomes of a shard."""
        raise NotImplementedError


class WriteShards(WholeShards):
    """Stages the records of whole shards."""

    def whole(self, shard: int, steps: list[Stepped]) -> Iterator[Written]:
        """Gives the one part that the shard is written to."""
        turn, tables = steps[0].turn, defaultdict[str, list[pa.Table]](list)
        results = tuple(stepped.result for stepped in steps if stepped.result is not None)
        if turn.kind != "step":
            yield Written(turn, steps[0].clock, results, ())
            return
        for stepped in steps:
            for stream, packed in stepped.records.items():
                tables[stream].append(unpack(packed))
        with self._run.sink.writer(turn.name, f"r{steps[0].round}p{shard}") as writer:
            writer.write({stream: pa.concat_tables(parts) for stream, parts in tables.items()})
        yield Written(turn, steps[0].clock, results, writer.parts)


class PassShardsOn(WholeShards):
    """Brings what whole shards send to the buckets of later rounds."""

    def whole(self, shard: int, steps: list[Stepped]) -> Iterator[Arrived]:
        """Gives every bucket of every later round its part, be it empty."""
        frames = defaultdict[int, list[Frame]](list)
        for stepped in steps:
            for frame in stepped.onward:
                frames[frame.bucket].append(frame)
        for round_ in self._run.rounds[steps[0].round + 1 :]:
            for bucket in range(self._run.settings.buckets):
                mine = tuple(frame for frame in frames[bucket] if round_.takes(frame))
                yield Arrived(steps[0].turn, round_.number, bucket, mine)


class CompleteSteps(KeyedProcessFunction):
    """Delivers steps in order, each once all its shards are written; one key, so one task.

    With a step that says so it saves the suite's checkpoint: the last of a run that ends, one every few seconds
    of one that does not. A step that is taken again after a failure delivers what it delivered before.

    Args:
        run: The run.
        manifest: The suite's checkpoint before the run.
        pace: Where it is told which turns are complete; None if nobody asks, as all was planned before.
    """

    def __init__(self, run: Run, manifest: Manifest, pace: Pace | None) -> None:
        self._run = run
        self._manifest = manifest
        self._pace = pace

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declares the keyed state; the names are part of savepoints."""
        log_to(sys.stdout)  # nobody reads the standard error of the mini-cluster's JVM
        self._course = runtime_context.get_state(ValueStateDescriptor("course", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Written, ctx: KeyedProcessFunction.Context) -> Iterator[int]:
        """Takes a shard; gives the numbers of the steps that are complete with it."""
        course: Course = self._course.value() or Course(self._manifest, self._manifest.step)
        manifest, number, waiting = course.manifest, course.turn, [*course.waiting, value]
        while mine := self._complete(waiting, number):
            yield manifest.step
            manifest, number = self._deliver(manifest, mine), number + 1
            waiting = [written for written in waiting if written not in mine]
            if self._pace is not None:
                self._pace.tell(number)
        self._course.update(Course(manifest, number, tuple(waiting)))

    def _deliver(self, manifest: Manifest, shards: list[Written]) -> Manifest:
        turn, clock = shards[0].turn, shards[0].clock
        results = (result for written in shards for result in written.results)
        if turn.kind != "step":
            saved = self._run.save_late(manifest, results)
            if turn.kind == "close":
                Path(self._run.spec.workplace, STOPPED).touch()
            return saved
        self._run.sink.deliver(turn.name, (part for written in shards for part in written.parts))
        after = self._run.advance(manifest, turn.position, clock, results)
        if turn.saves:
            self._run.save(after)
        return after

    def _complete(self, waiting: list[Written], number: int) -> list[Written]:
        """All shards of all rounds of a turn; none of them while one is missing."""
        mine = [written for written in waiting if written.turn.number == number]
        return mine if mine and len(mine) == mine[0].turn.shards * len(self._run.rounds) else []
