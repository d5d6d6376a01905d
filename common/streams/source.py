"""Streams as input: a folder or a broker, taken step by step."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from common.errors import AdstreamError
from common.storage import storage_at
from common.streams.folder import Arrivals, FolderSource, Position, Split

BROKER = "kafka://"
PLANS = "plans"
"""The folder of a checkpoint in which the steps of a broker are written down (`Planned`)."""


class Source(Protocol):
    """Where a job's records come from. It can be pickled: it holds nothing open."""

    @property
    def partitions(self) -> tuple[str, ...]:
        """Everything that has a watermark of its own: streams in a folder, partitions on a broker."""
        ...

    def next_step(self, position: Position) -> Arrivals | None:
        """What the step that begins at a position takes; None while nothing has arrived behind it.

        Raises:
            AdstreamError: What should be there is gone, or what should not be is there.
        """
        ...

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """All there is, for a run in `batch` mode.

        Args:
            split_bytes: About how much a split holds, where that can be known.
        """
        ...

    def planned(self, position: Position) -> bool:
        """Whether a step that begins at a position takes the same records whenever it is asked for."""
        ...

    def settled(self, position: Position) -> None:
        """Nothing before a position will be asked for again."""
        ...


def open_source(
    place: str, streams: tuple[str, ...], log: str, schemas: Path, until: Mapping[str, int] | None = None
) -> Source:
    """A source whose steps are the same when they are taken again.

    Args:
        place: A folder, or the address of a broker.
        streams: What the job reads.
        log: The checkpoint, in which the steps are written down.
        schemas: Where the schemas of a broker's registry are kept.
        until: Up to which offset each partition of a broker is read; all there is if None or empty.

    Raises:
        AdstreamError: The place or one of the streams is not there.
    """
    source = open_unplanned(place, streams, schemas)
    return Planned(Bounded(source, dict(until)) if until else source, log)


def open_unplanned(place: str, streams: tuple[str, ...], schemas: Path) -> Source:
    """As `open_source`, but nothing is written down: to look what has arrived, or where a step may be taken otherwise."""
    if not place.startswith(BROKER):
        return FolderSource.open(place, streams)
    # Only a run on a broker needs its client, which not every installation has.
    return cast("Source", import_module("common.streams.kafka.source").KafkaSource.open(place, streams, str(schemas)))


@dataclass(frozen=True)
class Bounded:
    """A broker's streams up to some offsets, as if nothing had come behind them.

    Attributes:
        source: The source.
        ends: The offset behind the last record that is taken, by partition; of one that is not named, none is.
    """

    source: Source
    ends: Mapping[str, int]

    @property
    def partitions(self) -> tuple[str, ...]:
        """As `Source.partitions`."""
        return self.source.partitions

    def next_step(self, position: Position) -> Arrivals | None:
        """As `Source.next_step`."""
        arrivals = self.source.next_step(position)
        if arrivals is None:
            return None
        splits = tuple(piece for split in arrivals.splits for piece in self._cut(split))
        if not splits:
            return None
        begins = {split.partition: split.start for split in arrivals.splits}
        taken = {**arrivals.position.counts, **begins, **{split.partition: split.stop for split in splits}}
        return replace(arrivals, splits=splits, position=replace(arrivals.position, counts=taken))

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """As `Source.everything`."""
        return tuple(piece for split in self.source.everything(split_bytes) for piece in self._cut(split))

    def planned(self, position: Position) -> bool:
        """As `Source.planned`."""
        return self.source.planned(position)

    def settled(self, position: Position) -> None:
        """As `Source.settled`."""
        self.source.settled(position)

    def _cut(self, split: Split) -> tuple[Split, ...]:
        stop = min(split.stop, self.ends.get(split.partition, 0))
        return (replace(split, stop=stop),) if split.start < stop else ()


@dataclass(frozen=True)
class Planned:
    """A source whose steps are written down before they are taken, so that one taken again is the same.

    On a broker, what has arrived behind a position grows all the time; in a folder it does when a stream gets a
    file that it lacked. But a step that was delivered and then lost its checkpoint is skipped by a sink that keeps
    what it has, so when it comes again it must hold what it held before.

    Attributes:
        source: The source.
        log: Where the checkpoint is that has the folder of the plans: a file a step, named after the position at
            which it begins.
    """

    source: Source
    log: str

    @property
    def partitions(self) -> tuple[str, ...]:
        """As `Source.partitions`."""
        return self.source.partitions

    def next_step(self, position: Position) -> Arrivals | None:
        """As `Source.next_step`; what was planned before is planned again."""
        planned = self._plan(position)
        if planned is not None:
            return planned
        arrivals = self.source.next_step(position)
        if arrivals is None:
            return None
        # The one moment in which the wall clock comes in, as a broker does not tell when records arrived: from
        # here on it is a part of the step.
        arrivals = replace(arrivals, arrived=arrivals.arrived or time.time_ns() // 1_000_000)
        # A second copy of the job may have planned the step at the same moment: whoever was first has.
        stands = storage_at(self.log).claim(_name(position), json.dumps(asdict(arrivals)).encode())
        return _arrivals(json.loads(stands))

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """As `Source.everything`."""
        return self.source.everything(split_bytes)

    def planned(self, position: Position) -> bool:
        """As `Source.planned`."""
        return self._plan(position) is not None

    def settled(self, position: Position) -> None:
        """As `Source.settled`: plans of steps that ended before the position are dropped."""
        storage = storage_at(self.log)
        for name in storage.files(PLANS):
            ended = self._read(name).position.counts
            if all(taken <= position.counts.get(partition, 0) for partition, taken in ended.items()):
                storage.delete([name])

    def _plan(self, position: Position) -> Arrivals | None:
        try:
            return self._read(_name(position))
        except FileNotFoundError:
            return None

    def _read(self, name: str) -> Arrivals:
        content = storage_at(self.log).read(name).to_pybytes()
        try:
            return _arrivals(json.loads(content))
        except (ValueError, TypeError, KeyError):
            # Taken for missing, the step would be planned anew, and a sink that has it would skip what is new in it.
            raise AdstreamError(
                f"checkpoint '{self.log}/{name}': the plan of a step is torn", "restore it, or 'adstream reset' the job"
            ) from None


def _name(position: Position) -> str:
    """The file of the step that begins at a position."""
    begins = hashlib.sha256(json.dumps(position.counts, sort_keys=True).encode()).hexdigest()[:32]
    return f"{PLANS}/{begins}.json"


def _arrivals(content: Mapping[str, object]) -> Arrivals:
    splits = cast("list[dict[str, str | int]]", content["splits"])
    position = cast("dict[str, dict[str, int]]", content["position"])
    arrived = cast("int", content["arrived"])
    return Arrivals(tuple(Split(**split) for split in splits), Position(**position), arrived)  # type: ignore[arg-type]
