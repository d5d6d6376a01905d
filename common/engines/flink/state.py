"""The keyed operator on Flink: a bucket is a key, its state table a value of keyed state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pyflink.common import Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from common.engines.flink.sources import Arrived, Turn
from common.operators.step import END
from common.runtime.bucket import step_bucket
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.frames import latest_by_partition, pack, unpack
from common.runtime.run import BucketResult, Run


@dataclass(frozen=True)
class Progress:
    """How far a bucket has come, kept beside its state table.

    Attributes:
        step: The next step to take.
        clock: The clock before it. Every bucket sees the times of all units, so all have the same clock.
        due: The watermark at which the bucket must be stepped, whatever arrives.
        gauges: The operator's gauges after the last step.
        waiting: How many units wait for the rest of their step, or for an earlier one.
        here: How many of these are of the next step.
    """

    step: int
    clock: Clock
    due: int = END
    gauges: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    here: int = 0

    def to_json(self) -> str:
        """The progress as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """The progress that `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        return cls(**{**content, "clock": Clock(**content["clock"])})


@dataclass(frozen=True)
class Stepped:
    """What a bucket's step gave.

    Attributes:
        turn: The step.
        bucket: The bucket.
        clock: The clock after the step.
        result: What to put into the checkpoint; None where the bucket stays as it was.
        records: Packed contract records, by sink stream.
    """

    turn: Turn
    bucket: int
    clock: Clock
    result: BucketResult | None
    records: Mapping[str, bytes] = field(default_factory=dict)


class StepBuckets(KeyedProcessFunction):
    """Steps a bucket once all units of the step have arrived; keyed by bucket.

    A bucket without keyed state begins with what the suite's checkpoint holds of it.

    Args:
        run: The run.
        manifest: The suite's checkpoint before the run.
    """

    def __init__(self, run: Run, manifest: Manifest) -> None:
        self._run = run
        self._manifest = manifest

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declares the keyed state; the names are part of savepoints."""
        self._table = runtime_context.get_state(ValueStateDescriptor("table", Types.PICKLED_BYTE_ARRAY()))
        self._progress = runtime_context.get_state(ValueStateDescriptor("progress", Types.STRING()))
        self._waiting = runtime_context.get_list_state(ListStateDescriptor("waiting", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Arrived, ctx: KeyedProcessFunction.Context) -> Iterator[Stepped]:
        """Takes what a unit holds for the bucket; takes every step that is complete with it."""
        progress = self._restore(value.bucket)
        here = progress.here + (value.turn.step == progress.step)
        if here < value.turn.units:
            self._waiting.add(value)
            self._progress.update(replace(progress, waiting=progress.waiting + 1, here=here).to_json())
            return
        waiting = [*self._waiting.get(), value] if progress.waiting else [value]
        mine, rest = _of_step(waiting, progress.step)
        while mine and len(mine) == mine[0].turn.units:
            stepped, progress = self._step(mine, progress)
            yield stepped
            mine, rest = _of_step(rest, progress.step)
        if progress.waiting:
            self._waiting.update([*mine, *rest])
        self._progress.update(replace(progress, waiting=len(mine) + len(rest), here=len(mine)).to_json())

    def _restore(self, bucket: int) -> Progress:
        kept = self._progress.value()
        if kept is not None:
            return Progress.from_json(kept)
        saved = self._manifest.buckets[bucket]
        table = self._run.checkpoint.read_state(saved, self._run.plan.operator.state_schema)
        self._table.update(pack(table))
        return Progress(self._manifest.step, self._manifest.clock, saved.due, saved.gauges)

    def _step(self, arrived: list[Arrived], progress: Progress) -> tuple[Stepped, Progress]:
        turn, bucket = arrived[0].turn, arrived[0].bucket
        frames = [frame for part in arrived for frame in part.frames]
        before, latest = progress.clock, latest_by_partition(frames)
        clock = before.ended() if turn.ended else before.observe(latest, turn.arrived)
        after = replace(progress, step=progress.step + 1, clock=clock)
        counters: Mapping[str, int] = {}
        records: Mapping[str, bytes] = {}
        touched = progress.due <= clock.watermark or any(frame.payload for frame in frames)
        if touched:
            step = step_bucket(self._run.plan, unpack(self._table.value()), frames, clock.since(progress.clock))
            self._table.update(pack(step.state))
            after = replace(after, due=step.due, gauges=step.gauges)
            counters, records = step.counters, {stream: pack(table) for stream, table in step.records.items()}
        path = ""
        if turn.last:
            path = self._run.checkpoint.write_state(turn.step, bucket, unpack(self._table.value()))
        result = BucketResult(bucket, path, after.due, counters, after.gauges) if touched or turn.last else None
        return Stepped(turn, bucket, clock, result, records), after


def _of_step(arrived: list[Arrived], step: int) -> tuple[list[Arrived], list[Arrived]]:
    """Those of one step, and the rest."""
    mine = [part for part in arrived if part.turn.step == step]
    return mine, [part for part in arrived if part.turn.step != step]
