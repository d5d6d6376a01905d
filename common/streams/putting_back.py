"""Where corrected records are put back: into a folder of streams, or onto a broker; each letter once.

A folder gets a file a stream and replay, and `_replays/<number>.json` says which letters are in it:

    INTO/_replays/<number>/<stream>.jsonl    the records, out of sight
    INTO/_replays/<number>.json              they count: the letters, and the names of the files
    INTO/<stream>/<last>~<number>.jsonl      in place; it sorts behind all that was there

A replay that is killed before the second was never there; one that is killed after it is completed by the next.
It no longer counts for a stream that was made anew since (`Sink.clear`), whose letters are of other records.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from common.contracts.contract import load
from common.streams.encode import open_encoder
from common.streams.folder import FolderSource, arrival_of
from common.streams.letters import Identity

REPLAYS = "_replays"


class Destination(Protocol):
    """Where records are put back."""

    def replayed(self) -> frozenset[Identity]:
        """The letters whose records were put back."""
        ...

    def put(self, records: Mapping[str, pa.Table], letters: Sequence[Identity]) -> None:
        """Puts back records, and notes their letters, all or nothing.

        Args:
            records: Records of the contracts' Arrow schemas, by stream.
            letters: The letters that they were.
        """
        ...


@dataclass(frozen=True)
class _Replay:
    """What `_replays/<number>.json` says."""

    letters: Sequence[Sequence[Any]]
    files: Mapping[str, str]


@dataclass(frozen=True)
class Folder:
    """A folder of streams. Hold its lock: two replays at once would give one letter twice.

    Attributes:
        root: The folder.
    """

    root: Path

    def replayed(self) -> frozenset[Identity]:
        """As `Destination.replayed`; a replay that was interrupted is completed before."""
        found = set[Identity]()
        for path in self._replays():
            replay = _Replay(**json.loads(path.read_text()))
            self._place(path.with_suffix(""), replay.files)
            kept = {stream for stream, name in replay.files.items() if self._keeps(stream, name)}
            found |= {letter for letter in (Identity(*each) for each in replay.letters) if letter.stream in kept}
        return frozenset(found)

    def put(self, records: Mapping[str, pa.Table], letters: Sequence[Identity]) -> None:
        """As `Destination.put`.

        Raises:
            AdstreamError: A stream has no folder there, or is a Delta table.
        """
        numbers = [int(path.stem) for path in self._replays()]
        staged = self.root / REPLAYS / f"{max(numbers, default=0) + 1:06d}"
        files = {stream: self._behind(stream, staged.name) for stream in records}
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        for stream, table in records.items():
            encoder = open_encoder(staged / f"{stream}.jsonl", load(stream))
            encoder.write(table)
            encoder.close()
        written = staged / "replay.json"
        written.write_text(json.dumps(asdict(_Replay([list(letter) for letter in letters], files))))
        written.replace(staged.with_suffix(".json"))
        self._place(staged, files)

    def _replays(self) -> list[Path]:
        return sorted((self.root / REPLAYS).glob("*.json"))

    def _behind(self, stream: str, number: str) -> str:
        """A name that sorts behind those of all files of a stream."""
        names = [arrival_of(path.name) for path in FolderSource.open(self.root, (stream,)).files(stream)]
        return f"{max(names, default='0').partition('~')[0]}~{number}.jsonl"

    def _keeps(self, stream: str, name: str) -> bool:
        """Whether a stream is the one that a replay was put into.

        Its file may have been removed once it was taken, as all before it; it is made anew if others stand before it.
        """
        before, folder = name.partition("~")[0], self.root / stream
        return (folder / name).exists() or all(arrival_of(path.name) > before for path in folder.glob("[!._]*"))

    def _place(self, staged: Path, files: Mapping[str, str]) -> None:
        for stream, name in files.items():
            path = staged / f"{stream}.jsonl"
            if path.exists():
                path.replace(self.root / stream / name)
        shutil.rmtree(staged, ignore_errors=True)


def replayed_records(letters: Iterable[Identity]) -> pa.Table:
    """Letters that were put back, as records of `replayed-letters`."""
    rows = [{"key": " ".join(map(str, letter)), "value": letter._asdict()} for letter in letters]
    return pa.Table.from_pylist(rows, schema=load("replayed-letters").arrow)
