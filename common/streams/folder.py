"""A folder as a broker: `ROOT/<stream>/*.jsonl|*.avro|*.parquet`, each file an arrival.

Files are taken in name order. Those that share the name before the first `.` (the parts that
parallel tasks wrote) are one arrival. Names that begin with `_` or `.` are not data. A file must be
complete when it appears: write it elsewhere and rename it into place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from common.errors import AdstreamError
from common.streams.parquet_file import row_group_ranges

SUFFIXES = (".jsonl", ".avro", ".parquet")


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
        return f"{Path(self.path).name if self.number < 0 else ''}/{self.start:020d}"


@dataclass(frozen=True)
class Position:
    """What was taken of each stream.

    Attributes:
        counts: How many arrivals.
        last: The name of the last one.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    last: Mapping[str, str] = field(default_factory=dict)


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
            AdstreamError: A file appeared that sorts before those already taken.
        """
        counts, last = dict(position.counts), dict(position.last)
        splits: list[Split] = []
        for stream in self.streams:
            arrival = self._next(stream, counts.get(stream, 0), last.get(stream))
            if arrival is not None:
                name, files = arrival
                splits += [Split(stream, str(path)) for path in files]
                counts[stream], last[stream] = counts.get(stream, 0) + 1, name
        return Arrivals(tuple(splits), Position(counts, last), _arrived(splits)) if splits else None

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        """All there is, for a run in `batch` mode.

        Args:
            split_bytes: About how much of a file one split holds; files are cut where the format allows.

        Raises:
            AdstreamError: The footer of a Parquet file can't be read.
        """
        files = (Split(stream, str(path)) for stream in self.streams for path in self.files(stream))
        return cut(files, split_bytes)

    def _next(self, stream: str, taken: int, last: str | None) -> tuple[str, tuple[Path, ...]] | None:
        arrivals = [(name, tuple(files)) for name, files in groupby(self.files(stream), key=_arrival)]
        behind = [name for name, _ in arrivals if last is not None and name <= last]
        if len(behind) > taken:
            raise AdstreamError(
                f"stream '{stream}' in '{self.root}': {len(behind)} files sort up to '{last}', but {taken} were taken",
                "name new files so that they sort after the old ones",
            )
        return next(iter(arrivals[len(behind) :]), None)

    def files(self, stream: str) -> list[Path]:
        folder = Path(self.root) / stream
        if not folder.is_dir():
            raise AdstreamError(f"stream '{stream}': no folder '{folder}'", f"put its files into {folder}")
        files = [path for path in folder.iterdir() if path.name[0] not in "._"]
        if (folder / "_delta_log").exists():
            raise AdstreamError(f"'{folder}' is a Delta table, not a stream of files", "export its changes to files")
        for path in files:
            if path.suffix not in SUFFIXES:
                raise AdstreamError(
                    f"'{path}': unknown kind of file", f"streams are made of *{', *'.join(SUFFIXES)}; move it away"
                )
        return sorted(files, key=lambda path: (_arrival(path), path.name))


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


def _arrival(path: Path) -> str:
    return path.name.partition(".")[0]


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
