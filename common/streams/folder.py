"""A folder as a broker: `ROOT/<stream>/*.jsonl|*.avro|*.parquet`, each file an arrival.

Files are taken in the order of their names before the first `.`; those that share it (the parts that
parallel tasks wrote) are one arrival. Names that begin with `_` or `.` are not data. A file must be
complete when it appears: write it elsewhere and rename it into place.

Files do not appear together. Where their names end in `.of<N>.<ext>`, as in `000000007.r0p1.of2.jsonl`, an arrival is
taken once all N are there; the parts of any other must be there before a job looks.
"""

from __future__ import annotations

import logging
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from common.errors import AdstreamError
from common.streams.parquet_file import row_group_ranges

SUFFIXES = (".jsonl", ".avro", ".parquet")
_OF = re.compile(r"\.of(\d+)\.\w+$")

log = logging.getLogger("adstream")


@dataclass(frozen=True)
class Split:
    """A part of a file that can be read on its own.

    Attributes:
        stream: The stream it belongs to.
        path: The file.
        start: Where it starts: a byte of a JSON lines file, a row group of a Parquet file.
        stop: Where it ends, exclusive; -1 for the end of the file. A line belongs to the split that
            holds its first byte. An Avro file is one split.
        number: The partition of a stream on a broker; -1 for a file.
    """

    stream: str
    path: str
    start: int = 0
    stop: int = -1
    number: int = -1

    @property
    def partition(self) -> str:
        """What has a watermark of its own: the stream, or its partition on a broker."""
        return self.stream if self.number < 0 else f"{self.stream}/{self.number}"

    @property
    def place(self) -> str:
        """Where a dead letter says that it stood: the file below the input folder, or the partition."""
        return f"{self.stream}/{Path(self.path).name}" if self.number < 0 else self.partition

    @property
    def order(self) -> str:
        """Sorts the splits of a partition as they stand in it."""
        if self.number >= 0:
            return f"/{self.start:020d}"
        name = Path(self.path).name
        # As files are taken: a plain name would put `a-b.jsonl` before `a.jsonl`.
        return f"{arrival_of(name)}\0{name}/{self.start:020d}"


@dataclass(frozen=True)
class Position:
    """What was taken of each stream.

    Attributes:
        counts: How many arrivals.
        last: The name of the last one.
        present: How many arrivals were there up to that one when it was taken; files that were taken may be deleted.
        parts: How many files it had, if their names do not say how many it has.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    last: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Arrival:
    """Files of a stream that are taken together.

    Attributes:
        name: What their names begin with.
        files: Their names, in order.
    """

    name: str
    files: tuple[str, ...]

    @property
    def declared(self) -> set[int]:
        """How many files the names say there are; empty where none says so, more than one while a step is replaced.

        One that says nothing beside others that do is all there is of its step.
        """
        told = [_OF.search(file) for file in self.files]
        return {int(found[1]) if found else 1 for found in told} if any(told) else set()

    @property
    def is_whole(self) -> bool:
        """Whether all its files are there, as far as their names tell."""
        declared = self.declared
        return not declared or declared == {len(self.files)}


@dataclass(frozen=True)
class Arrivals:
    """A step: what it takes, and when that had arrived.

    Attributes:
        splits: The files, or the ranges of partitions.
        position: The position once they are taken.
        arrived: When all of it was there, in epoch ms: when the last of the files was written, or when the ranges
            were written down. It is the same when the step is taken again.
    """

    splits: tuple[Split, ...]
    position: Position
    arrived: int = 0


@dataclass(frozen=True)
class FolderSource:
    """The input streams of a job, below one folder. It can be pickled."""

    root: str
    streams: tuple[str, ...]

    @classmethod
    def open(cls, root: str | Path, streams: tuple[str, ...]) -> FolderSource:
        """Checks that every stream has its folder, with files that can be read.

        Raises:
            AdstreamError: A folder is missing, or holds a file of another kind.
        """
        if not Path(root).is_dir():
            raise AdstreamError(f"input folder '{root}' does not exist", "give --input a folder of streams")
        source = cls(str(root), tuple(streams))
        for stream in source.streams:
            source.files(stream)
        return source

    @property
    def partitions(self) -> tuple[str, ...]:
        """As `Source.partitions`."""
        return self.streams

    def planned(self, position: Position) -> bool:
        """As `Source.planned`: the same files make the same step."""
        return True

    def settled(self, position: Position) -> None:
        """As `Source.settled`."""

    def next_step(self, position: Position) -> Arrivals | None:
        """The next arrival of every stream that has one; None when all were taken.

        Raises:
            AdstreamError: A file appeared that sorts before those already taken, or a part of an arrival is missing.
        """
        splits: list[Split] = []
        counts, last = dict(position.counts), dict(position.last)
        present, parts = dict(position.present), dict(position.parts)
        for stream in self.streams:
            arrivals = self._arrivals(stream)
            behind = self._behind(stream, arrivals, position)
            if behind < len(arrivals) and self._is_there(stream, arrival := arrivals[behind], arrivals[-1]):
                splits += [Split(stream, self._path(stream, file)) for file in arrival.files]
                counts[stream], last[stream] = counts.get(stream, 0) + 1, arrival.name
                present[stream], parts[stream] = behind + 1, 0 if arrival.declared else len(arrival.files)
        return Arrivals(tuple(splits), Position(counts, last, present, parts), _arrived(splits)) if splits else None

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """All there is, for a run in `batch` mode.

        Args:
            split_bytes: About how much of a file one split holds; files are cut where the format allows.

        Raises:
            AdstreamError: The footer of a Parquet file can't be read, or a part of an arrival is missing.
        """
        taken = []
        for stream in self.streams:
            arrivals = self._arrivals(stream)
            for arrival in arrivals:
                if self._is_there(stream, arrival, arrivals[-1]):
                    taken += [Split(stream, self._path(stream, file)) for file in arrival.files]
                else:
                    log.warning("%s is left out", self._lacking(stream, arrival))
        return cut(taken, split_bytes)

    def _arrivals(self, stream: str) -> list[Arrival]:
        """What has arrived in a stream, in order."""
        return [Arrival(name, tuple(files)) for name, files in groupby(self._names(stream), arrival_of)]

    def _is_there(self, stream: str, arrival: Arrival, newest: Arrival) -> bool:
        """Whether all files of an arrival that was not taken yet are there; of the newest some may still be on their way.

        Raises:
            AdstreamError: Some of an earlier one are missing.
        """
        if arrival.is_whole or arrival is newest:
            return arrival.is_whole
        raise AdstreamError(
            f"{self._lacking(stream, arrival)}, and '{newest.name}' is there already",
            "put the missing files back, or take those of this arrival away",
        )

    def _behind(self, stream: str, arrivals: list[Arrival], position: Position) -> int:
        """How many arrivals were taken, of those that are there."""
        last = position.last.get(stream)
        if last is None:
            return 0
        behind = bisect_right(arrivals, last, key=lambda arrival: arrival.name)
        known = position.present.get(stream, position.counts[stream])
        if behind > known:
            raise AdstreamError(
                f"stream '{stream}' in '{self.root}': {behind} files sort up to '{last}', but {known} were taken",
                "name new files so that they sort after the old ones",
            )
        parts, latest = position.parts.get(stream, 0), arrivals[behind - 1] if behind else None
        if parts and latest is not None and latest.name == last and len(latest.files) > parts:
            raise AdstreamError(
                f"stream '{stream}' in '{self.root}': '{last}' has {len(latest.files)} files, but {parts} were taken",
                "give what came later a name of its own; or let names tell how many there are, as in "
                f"{last}.1.of{len(latest.files)}{Path(latest.files[0]).suffix}",
            )
        return behind

    def _lacking(self, stream: str, arrival: Arrival) -> str:
        told = " or ".join(map(str, sorted(arrival.declared)))
        return f"stream '{stream}' in '{self.root}': '{arrival.name}' has {len(arrival.files)} of {told} files"

    def _path(self, stream: str, file: str) -> str:
        return str(Path(self.root, stream, file))

    def files(self, stream: str) -> list[Path]:
        """All files of a stream, in order."""
        return [Path(self.root, stream, name) for name in self._names(stream)]

    def _names(self, stream: str) -> list[str]:
        """The names of a stream's files, in order. It is asked at each step, so it makes nothing else of them."""
        folder = Path(self.root) / stream
        if not folder.is_dir():
            raise AdstreamError(f"stream '{stream}': no folder '{folder}'", f"put its files into {folder}")
        with os.scandir(folder) as entries:
            there = [entry.name for entry in entries]
        if "_delta_log" in there:
            raise AdstreamError(f"'{folder}' is a Delta table, not a stream of files", "export its changes to files")
        names = [name for name in there if name[0] not in "._"]
        for name in names:
            if not name.endswith(SUFFIXES):
                raise AdstreamError(
                    f"'{folder / name}': unknown kind of file",
                    f"streams are made of *{', *'.join(SUFFIXES)}; move it away",
                )
            if not _is_text(name):
                raise AdstreamError(f"'{folder}': the name of the file {os.fsencode(name)!r} is not UTF-8", "rename it")
        return sorted(names, key=lambda name: (arrival_of(name), name))


def cut(files: Iterable[Split], split_bytes: int) -> tuple[Split, ...]:
    """Whole files as smaller splits, which tasks can read side by side.

    Args:
        files: Splits of one file each; a range of a broker's offsets stays as it is.
        split_bytes: About how much of a file one split holds; files are cut where the format allows.

    Raises:
        AdstreamError: The footer of a Parquet file can't be read.
    """
    return tuple(
        piece
        for file in files
        for piece in (
            [replace(file, start=start, stop=stop) for start, stop in _ranges(Path(file.path), split_bytes)]
            if file.number < 0
            else [file]
        )
    )


def _arrived(files: Iterable[Split]) -> int:
    """When the last of some files was written, in epoch ms; a rename into place keeps that."""
    return max(Path(file.path).stat().st_mtime_ns for file in files) // 1_000_000


def arrival_of(name: str) -> str:
    """The arrival that a file belongs to, from its name."""
    return name.partition(".")[0]


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8: no other can stand in dead letters, nor be sent to tasks."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ranges(path: Path, split_bytes: int) -> Iterator[tuple[int, int]]:
    size = path.stat().st_size
    if size == 0:
        return
    if path.suffix == ".jsonl" and size > split_bytes:
        starts = range(0, size, split_bytes)
        yield from ((start, min(start + split_bytes, size)) for start in starts)
    elif path.suffix == ".parquet":
        yield from row_group_ranges(path, split_bytes)
    else:
        yield 0, -1
