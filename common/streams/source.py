"""Streams as input: a folder or a broker, taken step by step."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from common.streams.folder import Arrivals, FolderSource, Position, Split

BROKER = "kafka://"


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


def open_source(place: str, streams: tuple[str, ...], log: Path, schemas: Path) -> Source:
    """A source whose steps are the same when they are taken again.

    Args:
        place: A folder, or the address of a broker.
        streams: What the job reads.
        log: Where the steps are written down.
        schemas: Where the schemas of a broker's registry are kept.

    Raises:
        AdstreamError: The place or one of the streams is not there.
    """
    return Planned(open_unplanned(place, streams, schemas), str(log))


def open_unplanned(place: str, streams: tuple[str, ...], schemas: Path) -> Source:
    """As `open_source`, but nothing is written down: to look what has arrived, or where a step may be taken otherwise."""
    if not place.startswith(BROKER):
        return FolderSource.open(place, streams)
    # Only a run on a broker needs its client, which not every installation has.
    return cast("Source", import_module("common.streams.kafka.source").KafkaSource.open(place, streams, str(schemas)))


@dataclass(frozen=True)
class Planned:
    """A source whose steps are written down before they are taken, so that one taken again is the same.

    On a broker, what has arrived behind a position grows all the time; in a folder it does when a stream gets a
    file that it lacked. But a step that was delivered and then lost its checkpoint is skipped by a sink that keeps
    what it has, so when it comes again it must hold what it held before.

    Attributes:
        source: The source.
        log: The folder of the plans: a file a step, named after the position at which it begins.
    """

    source: Source
    log: str

    @property
    def partitions(self) -> tuple[str, ...]:
        """As `Source.partitions`."""
        return self.source.partitions

    def next_step(self, position: Position) -> Arrivals | None:
        """As `Source.next_step`; what was planned before is planned again."""
        path = self._path(position)
        if path.exists():
            return _arrivals(json.loads(path.read_text()))
        arrivals = self.source.next_step(position)
        if arrivals is not None:
            # The one moment in which the wall clock comes in, as a broker does not tell when records arrived: from
            # here on it is a part of the step.
            arrivals = replace(arrivals, arrived=arrivals.arrived or time.time_ns() // 1_000_000)
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_suffix(f".{os.getpid()}")
            staged.write_text(json.dumps(asdict(arrivals)))
            # A second copy of the job may have planned the step at the same moment: whoever was first has.
            with suppress(FileExistsError):
                path.hardlink_to(staged)
            staged.unlink()
            return _arrivals(json.loads(path.read_text()))
        return None

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """As `Source.everything`."""
        return self.source.everything(split_bytes)

    def planned(self, position: Position) -> bool:
        """As `Source.planned`."""
        return self._path(position).exists()

    def settled(self, position: Position) -> None:
        """As `Source.settled`: plans of steps that ended before the position are dropped."""
        for path in Path(self.log).glob("*.json"):
            ended = _arrivals(json.loads(path.read_text())).position.counts
            if all(taken <= position.counts.get(partition, 0) for partition, taken in ended.items()):
                path.unlink(missing_ok=True)

    def _path(self, position: Position) -> Path:
        name = hashlib.sha256(json.dumps(position.counts, sort_keys=True).encode()).hexdigest()[:32]
        return Path(self.log) / f"{name}.json"


def _arrivals(content: Mapping[str, object]) -> Arrivals:
    splits = cast("list[dict[str, str | int]]", content["splits"])
    position = cast("dict[str, dict[str, int]]", content["position"])
    arrived = cast("int", content["arrived"])
    return Arrivals(tuple(Split(**split) for split in splits), Position(**position), arrived)  # type: ignore[arg-type]
