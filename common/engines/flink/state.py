"""The keyed operator on Flink: a bucket is a key, its state table a value of keyed state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pyflink.common import Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from common.engines.flink.sources import Arrived, Turn
from common.operators.step import END
from common.runtime.bucket import Inbox, Round, pack_state, unpack_state
from common.runtime.checkpoint import BucketState, Manifest
from common.runtime.clock import Clock
from common.runtime.frames import Frame, latest_of, pack
from common.runtime.run import BucketResult, Run


@dataclass(frozen=True)
class Progress:
    """How far a bucket has come, kept beside its state table.

    Attributes:
        turn: The number of the next turn.
        clock: The clock before it. Every bucket sees the times of all units, so all have the same clock.
        due: The watermark at which the bucket must be stepped, whatever arrives.
        gauges: The operator's gauges after the last step.
        waiting: How many units wait for the rest of their turn, or for an earlier one.
        here: How many of these are of the next turn.
        saved: Whether the suite's checkpoint has the bucket as it is now.
    """

    turn: int
    clock: Clock
    due: int = END
    gauges: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    here: int = 0
    saved: bool = True


@dataclass(frozen=True)
class Stepped:
    """What a bucket's step gave.

    Attributes:
        turn: The step.
        round: The round.
        bucket: The bucket.
        clock: The clock after the step.
        result: What to put into the checkpoint; None where the bucket stays as it was.
        records: Packed contract records, by sink stream.
        onward: What goes to later rounds.
    """

    turn: Turn
    round: int
    bucket: int
    clock: Clock
    result: BucketResult | None
    records: Mapping[str, bytes] = field(default_factory=dict)
    onward: tuple[Frame, ...] = ()


class StepBuckets(KeyedProcessFunction):
    """Takes a round of a bucket's step once all has arrived for it; keyed by bucket.

    A bucket without keyed state begins with what the suite's checkpoint holds of it.

    Args:
        run: The run.
        round_: The round.
        manifest: The suite's checkpoint before the run.
    """

    def __init__(self, run: Run, round_: Round, manifest: Manifest) -> None:
        self._run = run
        self._round = round_
        self._manifest = manifest

    def open(self, runtime_context: RuntimeContext) -> None:
        """Declares the keyed state; the names are part of savepoints."""
        self._table = runtime_context.get_state(ValueStateDescriptor("table", Types.PICKLED_BYTE_ARRAY()))
        self._progress = runtime_context.get_state(ValueStateDescriptor("progress", Types.PICKLED_BYTE_ARRAY()))
        self._waiting = runtime_context.get_list_state(ListStateDescriptor("waiting", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Arrived, ctx: KeyedProcessFunction.Context) -> Iterator[Stepped]:
        """Takes what a unit or shard holds for the bucket; takes every step that is complete with it."""
        if value.round != self._round.number:
            return
        progress = self._restore(value.bucket)
        here = progress.here + (value.turn.number == progress.turn)
        if here < self._expected(value.turn):
            self._waiting.add(value)
            self._progress.update(replace(progress, waiting=progress.waiting + 1, here=here))
            return
        waiting = [*self._waiting.get(), value] if progress.waiting else [value]
        mine, rest = _of_turn(waiting, progress.turn)
        while mine and len(mine) == self._expected(mine[0].turn):
            stepped, progress = self._step(mine, progress)
            yield stepped
            mine, rest = _of_turn(rest, progress.turn)
        if progress.waiting:
            self._waiting.update([*mine, *rest])
        self._progress.update(replace(progress, waiting=len(mine) + len(rest), here=len(mine)))

    def _expected(self, turn: Turn) -> int:
        """How much arrives in a step: the units that are read, and the shards of every earlier round."""
        return turn.units + turn.shards * self._round.number

    def _restore(self, bucket: int) -> Progress:
        kept: Progress | None = self._progress.value()
        if kept is not None:
            return kept
        saved = self._manifest.rounds[self._round.number][bucket]
        self._table.update(pack_state(self._run.checkpoint.read_state(saved, self._round.stages)))
        return Progress(self._manifest.step, self._manifest.clock, saved.due, saved.gauges)

    def _step(self, arrived: list[Arrived], progress: Progress) -> tuple[Stepped, Progress]:
        turn, bucket = arrived[0].turn, arrived[0].bucket
        frames = [frame for part in arrived for frame in part.frames]
        latest = latest_of(time for part in arrived for time in part.latest.items())
        clock = progress.clock.ended() if turn.ended else progress.clock.observe(latest, turn.arrived)
        after = replace(progress, turn=progress.turn + 1, clock=clock)
        stepped = Stepped(turn, self._round.number, bucket, clock, None)
        due = progress.due <= clock.watermark or any(frame.payload for frame in frames)
        touched = due and turn.kind == "step"
        counters: Mapping[str, int] = {}
        if touched:
            state, moments = unpack_state(self._table.value()), clock.since(progress.clock)
            done = self._round.step(turn.step, bucket, state, Inbox.of(frames), moments)
            self._table.update(pack_state(done.state))
            after = replace(after, due=done.due, gauges=done.gauges, saved=False)
            counters = done.counters
            records = {stream: pack(table) for stream, table in done.records.items()}
            stepped = replace(stepped, records=records, onward=tuple(sent.frame() for sent in done.onward))
        saves = turn.saves and not after.saved
        if not touched and not saves:
            return stepped, after
        # Where nothing is saved, nobody looks at what the bucket holds.
        kept = BucketState({}, after.due, after.gauges)
        if saves:
            stored = self._run.checkpoint.write_state(turn.step, bucket, unpack_state(self._table.value()))
            kept, after = replace(kept, stored=stored), replace(after, saved=True)
        return replace(stepped, result=BucketResult(self._round.number, bucket, kept, counters)), after


def _of_turn(arrived: list[Arrived], number: int) -> tuple[list[Arrived], list[Arrived]]:
    """Those of one turn, and the rest."""
    mine = [part for part in arrived if part.turn.number == number]
    return mine, [part for part in arrived if part.turn.number != number]
