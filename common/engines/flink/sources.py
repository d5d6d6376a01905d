"""What a Flink job reads, and the operators that plan and read it.

The source of the job is a plain sequence of numbers. In a job that ends, all is planned before it starts: Flink
checkpoints how far each reader has come, and a number stands for the same files after any failure. In a job
without an end, numbers are ticks at which the next step is looked for.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pyflink.datastream.functions import FlatMapFunction

from common.engines.flink.pace import Pace
from common.engines.flink.submit import BUNDLE
from common.runtime.checkpoint import Manifest
from common.runtime.frames import Frame, Kind, latest_by_partition
from common.runtime.run import BATCH, Run, now_ms
from common.streams.folder import Arrivals, Position, Split
from common.streams.staging import step_name

TurnKind = Literal["step", "save", "close"]
SPLIT_BYTES = 32 * 2**20
POLL_SECONDS = 0.02
AHEAD = 2
"""How many turns of a job without an end are under way at most: one is read while the one before it is taken."""
SAVE_MS = 5_000
"""How often a job without an end saves the suite's checkpoint, unless `checkpoint.interval` is set."""


@dataclass(frozen=True)
class Turn:
    """One step of a run, or a moment behind a step at which the state is saved, as all its messages carry it.

    Attributes:
        number: Its place among the turns of the run, which begin with the number of the first step.
        step: The step's number since the job's first step; of a turn that is none, the number of the last one.
        name: Its name in output files.
        position: What was taken of the source streams, this step included.
        units: In how many units it is read.
        shards: In how many parts it is written.
        ended: Whether the input has ended with it: the watermark goes to infinity.
        saves: Whether the state after it goes into the suite's checkpoint.
        arrived: When its records had arrived, in epoch ms.
        kind: `save` is no step, but asks for the state behind the last one to be saved; so does `close`, and then
            the run stops.
    """

    number: int
    step: int
    name: str
    position: Position
    units: int
    shards: int
    ended: bool
    saves: bool
    arrived: int = 0
    kind: TurnKind = "step"


@dataclass(frozen=True)
class Unit:
    """What one reader reads at a time."""

    turn: Turn
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Arrived:
    """What a unit, or a shard of an earlier round, holds for one bucket and round.

    Every bucket gets one of each, so that it sees time pass and knows when a step is complete.

    Attributes:
        turn: The step.
        round: The round.
        bucket: The bucket.
        frames: Events and dead letters.
        latest: The latest event time, in epoch ms, of each partition that the unit has an event of; none in a shard.
    """

    turn: Turn
    round: int
    bucket: int
    frames: tuple[Frame, ...]
    latest: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Agenda:
    """All units of a run, in order, and how many readers share them.

    The readers take turns: each advances through the whole run, so buckets wait little for one another's
    steps. (Flink gives a reader a contiguous range of the sequence; `at` deals the units out over the ranges.)

    Attributes:
        units: The units; those of a step stand together.
        readers: How many readers the run began with. One that goes on at another parallelism keeps it.
    """

    units: tuple[Unit, ...]
    readers: int

    @property
    def size(self) -> int:
        """How many numbers the sequence has; some at its end may stand for nothing."""
        return self._share * self.readers

    @property
    def _share(self) -> int:
        return -(-len(self.units) // self.readers)

    def at(self, number: int) -> Unit | None:
        """The unit that a number of the sequence stands for, if any."""
        reader, place = divmod(number, self._share)
        index = place * self.readers + reader
        return self.units[index] if index < len(self.units) else None

    def begins(self, other: Agenda) -> bool:
        """Whether `other` starts with these units: the same files in the same steps."""
        mine = [(unit.splits, unit.turn.ended) for unit in self.units]
        return mine == [(unit.splits, unit.turn.ended) for unit in other.units[: len(mine)]]

    def to_json(self) -> str:
        """The agenda as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Agenda:
        """The agenda that `to_json` wrote."""
        content = json.loads(text)
        return cls(tuple(_unit(unit) for unit in content["units"]), content["readers"])


def batch_agenda(run: Run) -> Agenda:
    """Everything there is, as one step at the end of time."""
    splits = run.source.everything(SPLIT_BYTES)
    turn = Turn(0, 0, BATCH, Position(), max(len(splits), 1), _shards(run), ended=True, saves=True)
    units = [Unit(turn, (split,)) for split in splits] or [Unit(turn, ())]
    return Agenda(tuple(units), run.settings.parallelism)


def stream_agenda(run: Run, manifest: Manifest) -> Agenda:
    """The steps there are after a checkpoint, and the end of the input if the run is to drain."""
    taken: list[Arrivals] = []
    position = manifest.position
    while (arrivals := run.source.next_step(position)) is not None:
        position = arrivals.position
        taken.append(arrivals)
    if run.spec.drain:
        taken.append(Arrivals((), position))
    units = []
    for place, arrivals in enumerate(taken):
        step, ended, last = manifest.step + place, not arrivals.splits, place == len(taken) - 1
        turn = Turn(step, step, step_name(step), arrivals.position, 1, _shards(run), ended, last, arrivals.arrived)
        units.append(Unit(turn, arrivals.splits))
    return Agenda(tuple(units), run.settings.parallelism)


class PlanSteps(FlatMapFunction):
    """Ticks to the units of the steps that there are by then: a job without an end.

    It runs once, beginning where the suite's checkpoint stands. How far it has come needs no state of its own:
    a job that fails is started anew from that checkpoint.

    Args:
        run: The run.
        manifest: The suite's checkpoint before the run.
    """

    def __init__(self, run: Run, manifest: Manifest) -> None:
        self._run = run
        self._number = self._step = self._complete = manifest.step
        self._pace = Pace(run.spec.workplace)
        self._position = manifest.position
        self._saved = time.monotonic()
        self._all_saved = True
        self._closed = False
        self._passing = 0
        self._interval = run.settings.checkpoint.interval or SAVE_MS

    def flat_map(self, value: int) -> Iterator[Unit]:
        """Gives the units of the next step, once few enough are under way.

        Where there is none, it gives one that saves what was not saved yet, once it is time, or waits a little. Once
        the run is asked to stop, it gives one that closes it, and nothing behind that.
        """
        if self._passing > 0:
            self._passing -= 1
            return
        if self._is_ahead():
            time.sleep(POLL_SECONDS)
            return
        if not self._closed and self._run.is_stopping:
            self._closed = True
            yield self._behind_the_last("close")
        arrivals = None if self._closed else self._run.source.next_step(self._position)
        saves = time.monotonic() - self._saved >= self._interval / 1000
        if arrivals is not None:
            yield from self._units(arrivals, saves=saves)
        elif saves and not self._all_saved and not self._closed:
            yield self._behind_the_last("save")
        else:
            time.sleep(POLL_SECONDS)

    def _is_ahead(self) -> bool:
        """Whether as many turns are under way as may be; only then is it worth asking for those that are complete."""
        if self._number - self._complete >= AHEAD:
            self._complete = self._pace.complete(self._complete)
        return self._number - self._complete >= AHEAD

    def _units(self, arrivals: Arrivals, *, saves: bool) -> Iterator[Unit]:
        """The units of a step: as many as there are readers at most, for each sends something to every bucket."""
        units = min(len(arrivals.splits), self._run.settings.parallelism)
        turn = Turn(
            number=self._number,
            step=self._step,
            name=step_name(self._step),
            position=arrivals.position,
            units=units,
            shards=_shards(self._run),
            ended=False,
            saves=saves,
            arrived=arrivals.arrived,
        )
        self._step, self._position = self._step + 1, arrivals.position
        self._turned(saves=saves)
        for reader in range(units):
            yield Unit(turn, arrivals.splits[reader::units])

    def _behind_the_last(self, kind: TurnKind) -> Unit:
        shards = _shards(self._run)
        turn = Turn(self._number, self._step - 1, "", self._position, 1, shards, ended=False, saves=True, kind=kind)
        self._turned(saves=True)
        return Unit(turn, ())

    def _turned(self, *, saves: bool) -> None:
        # A bundle that goes to Python is as slow as its ticks, and nothing leaves it before it has ended.
        self._passing = BUNDLE
        self._number += 1
        self._all_saved = saves
        if saves:
            self._saved = time.monotonic()


class ReadUnits(FlatMapFunction):
    """Units to what they hold for each bucket.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def flat_map(self, value: Unit) -> Iterator[Arrived]:
        """Reads one unit."""
        frames: dict[int, list[Frame]] = defaultdict(list)
        now = now_ms()
        for split in value.splits:
            for frame in self._run.front.frames(split, now):
                frames[frame.bucket].append(frame)
        # Every bucket has all frames of kind `TIME`.
        latest = latest_by_partition(frames[0])
        for round_ in self._run.rounds:
            for bucket in range(self._run.settings.buckets):
                mine = tuple(frame for frame in frames[bucket] if frame.kind is not Kind.TIME and round_.takes(frame))
                yield Arrived(value.turn, round_.number, bucket, mine, latest)


class ReadAgenda(FlatMapFunction):
    """Numbers of an agenda to what their units hold for each bucket.

    Args:
        run: The run.
        agenda: What the numbers stand for.
    """

    def __init__(self, run: Run, agenda: Agenda) -> None:
        self._read = ReadUnits(run)
        self._agenda = agenda

    def flat_map(self, value: int) -> Iterator[Arrived]:
        """Reads one unit, if the number stands for any."""
        unit = self._agenda.at(value)
        if unit is not None:
            yield from self._read.flat_map(unit)


def _shards(run: Run) -> int:
    """A part of the output a task, none of them without a bucket."""
    return min(run.settings.parallelism, run.settings.buckets)


def _unit(content: Mapping[str, Any]) -> Unit:
    turn = content["turn"]
    return Unit(
        Turn(**{**turn, "position": Position(**turn["position"])}),
        tuple(Split(**split) for split in content["splits"]),
    )
