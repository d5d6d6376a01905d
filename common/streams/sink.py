"""Streams as output, delivered step by step, each step exactly once.

    OUT/<stream>/<step>.<part>.<ext>          formats jsonl, avro, parquet; always complete
    OUT/<stream>/<step>.<part>.of<N>.<ext>    likewise, one of N: who follows the folder waits for all of them
    OUT/<stream>/                             a Delta table (delta.py)

A step that is taken again replaces what it delivered before: its name is its identity.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.streams.delta import DELTA_LOG, DeltaSink
from common.streams.encode import open_encoder
from common.streams.staging import Part, PartWriter, by_stream, drop_staged, is_of_a_step, step_of

__all__ = ["FORMATS", "FolderSink", "Part", "PartWriter", "Sink", "open_sink"]

FORMATS = ("jsonl", "avro", "parquet", "delta")


class Sink(Protocol):
    """Where a job's records go. It can be pickled, and used in forked processes: it holds no file open."""

    def writer(self, step: str, part: str) -> PartWriter:
        """A context in which a task stages its output of a step.

        Args:
            step: The name of the step; names sort as steps do.
            part: The name of the task's part; one of a kind within the step.
        """
        ...

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """Makes a step's parts the output of that step, whatever it was before; idempotent."""
        ...

    def recover(self, step: str) -> None:
        """Before a job goes on with `step`: drops what was staged, and what lies beyond the checkpoint.

        Raises:
            AdstreamError: The folder holds output of another kind.
        """
        ...

    def delivered(self) -> int:
        """The number of the last step that stays delivered, whatever the checkpoint says; -1 for none."""
        ...

    def clear(self) -> None:
        """Before a run in `batch` mode: drops all output in the sink's streams."""
        ...


def open_sink(
    root: str | Path,
    format: str,  # noqa: A002 the name of the option
    contracts: Mapping[str, Contract],
) -> Sink:
    """The sink of a job.

    Args:
        root: The output folder; made when needed.
        format: One of `FORMATS`.
        contracts: The contract of every stream that the job writes.

    Raises:
        AdstreamError: The format is unknown, or needs a package that is not installed.
    """
    if format not in FORMATS:
        raise AdstreamError(f"unknown output format '{format}'", f"choose one of {', '.join(FORMATS)}")
    if format == "delta":
        return DeltaSink.open(str(root), dict(contracts))
    return FolderSink(str(root), format, dict(contracts))


@dataclass(frozen=True)
class FolderSink:
    """A folder a stream, with files that appear by renaming.

    Attributes:
        root: The output folder.
        format: The suffix of the files.
        contracts: The contract of every stream.
    """

    root: str
    format: str
    contracts: Mapping[str, Contract]

    def writer(self, step: str, part: str) -> PartWriter:
        """As `Sink.writer`."""
        return PartWriter(Path(self.root), step, part, f".{self.format}", self.contracts, open_encoder)

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """As `Sink.deliver`. Readers may see a step half delivered, but know it by its names; never half a file."""
        for stream, staged in by_stream(step, tuple(parts), self.contracts).items():
            targets = [self._target(stream, path, len(staged)) for path in staged]
            if len(set(targets)) < len(targets):
                raise ValueError(f"step '{step}': two parts of '{stream}' have one name: {sorted(map(str, targets))}")
            for path, target in zip(staged, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.exists() or not target.exists():
                    path.replace(target)
            for old in self._delivered(stream, lambda name: step_of(name) == step):
                if old not in targets:
                    old.unlink()

    def recover(self, step: str) -> None:
        """As `Sink.recover`."""
        drop_staged(Path(self.root))
        for stream in self.contracts:
            if (Path(self.root) / stream / DELTA_LOG).exists():
                raise AdstreamError(
                    f"output '{self.root}/{stream}' is a Delta table, but the format is {self.format}",
                    "choose another --output folder, or --format delta",
                )
            # From the last one back, so that a step that lacks a part is the last one, as in `deliver`.
            for path in reversed(self._delivered(stream, lambda name: is_of_a_step(name) and step_of(name) >= step)):
                path.unlink()

    def delivered(self) -> int:
        """As `Sink.delivered`: files can be taken back."""
        return -1

    def clear(self) -> None:
        """As `Sink.clear`."""
        drop_staged(Path(self.root))
        for stream in self.contracts:
            shutil.rmtree(Path(self.root) / stream, ignore_errors=True)

    def _target(self, stream: str, staged: Path, parts: int) -> Path:
        step, part, *_ = staged.name.split(".")
        told = f".of{parts}" if parts > 1 else ""
        return Path(self.root) / stream / f"{step}.{part}{told}.{self.format}"

    def _delivered(self, stream: str, chosen: Callable[[str], bool]) -> list[Path]:
        """The files of a stream with chosen names, in order; asked at each step, it makes nothing of the others."""
        folder = Path(self.root) / stream
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if chosen(entry.name))
