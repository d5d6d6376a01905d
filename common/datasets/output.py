"""A folder of streams that is being made: the files of a step side by side, all or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, final, get_args

import pyarrow as pa

from common.contracts.contract import load
from common.errors import AdstreamError
from common.streams.encode import Encoder, open_encoder

FileFormat = Literal["jsonl", "avro", "parquet"]
"""What the files of a folder can be."""

STAGING = "_new"
WRITE_ROWS = 131_072
"""How many rows are encoded at once: a row group of a Parquet file, so also what readers can share."""


def contract_encoder(path: Path, stream: str) -> Encoder:
    """The encoder of a stream's files under its newest contract."""
    return open_encoder(path, load(stream))


@final
class StreamsOutput:
    """Writes streams file by file into a new folder. A context manager; on an error nothing stays.

    Each stream gets the same number of files, named so that their order is the order of arrival:
    file *n* of every stream is one step of a run in `stream` mode.

    Args:
        root: The folder; its streams appear in it when the context is left.
        streams: The names of the streams.
        file_format: What the files are.
        open_file: Opens the encoder of a file, from its path and the name of its stream.

    Raises:
        AdstreamError: The format is unknown, or the folder already holds one of the streams.
    """

    def __init__(
        self,
        root: Path,
        streams: Sequence[str],
        file_format: FileFormat,
        open_file: Callable[[Path, str], Encoder] = contract_encoder,
    ) -> None:
        if file_format not in get_args(FileFormat):
            raise AdstreamError(
                f"'{file_format}' files can't be made here", f"choose {', '.join(get_args(FileFormat))}"
            )
        for stream in streams:
            if (root / stream).exists():
                raise AdstreamError(
                    f"{root / stream} is already there", "choose another output folder, or remove this one"
                )
        self.files = 0
        self._root = root
        self._format = file_format
        self._streams = tuple(streams)
        self._open = open_file
        self._encoders: dict[str, Encoder] = {}

    def write(self, stream: str, records: pa.Table) -> None:
        """Adds records to the current file of a stream.

        Args:
            stream: The name of the stream.
            records: A table in the Arrow schema of its contract.
        """
        if stream not in self._encoders:
            self._encoders[stream] = self._open(self._path(stream), stream)
        # A file without records still needs what its format wants at its head.
        for start in range(0, max(records.num_rows, 1), WRITE_ROWS):
            self._encoders[stream].write(records.slice(start, WRITE_ROWS))

    def next_file(self) -> dict[str, Path]:
        """Completes the current file of every stream, an empty one where nothing was written.

        Returns:
            The completed files, by stream, as long as they are not yet in the folder.
        """
        for stream in self._streams:
            if stream not in self._encoders:
                self.write(stream, load(stream).arrow.empty_table())
        completed = {stream: self._path(stream) for stream in self._streams}
        self._close()
        self.files += 1
        return completed

    def __enter__(self) -> StreamsOutput:
        shutil.rmtree(self._root / STAGING, ignore_errors=True)
        try:
            for stream in self._streams:
                (self._root / STAGING / stream).mkdir(parents=True)
        except OSError as error:
            raise AdstreamError(f"can't write into {self._root} ({error.strerror})", "choose another folder") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._encoders:
                self.next_file()
            for stream in self._streams:
                (self._root / STAGING / stream).rename(self._root / stream)
        else:
            self._close()
        shutil.rmtree(self._root / STAGING, ignore_errors=True)

    def _path(self, stream: str) -> Path:
        return self._root / STAGING / stream / f"{self.files:06d}.{self._format}"

    def _close(self) -> None:
        for encoder in self._encoders.values():
            encoder.close()
        self._encoders = {}
