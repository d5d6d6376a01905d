"""What a folder holds that must not be replaced: steps that whoever writes to it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.streams.delta import DELTA_LOG, DeltaSink, delta_library, last_step
from common.streams.sink import FolderSink, Sink
from common.streams.staging import number_in


@dataclass(frozen=True)
class Held:
    """What a folder holds.

    Attributes:
        where: The folder, for messages.
        step: The last step in any of its streams, whoever wrote it; -1 for none.
    """

    where: str
    step: int


def in_folder(sink: Sink) -> Held:
    """What the folder of a sink holds; nothing if it is none.

    A folder takes steps back that are ahead of a checkpoint. Here that would be somebody else's, or such as readers
    have taken: where a job makes the same steps again, a table or an outbox has others by then.

    Args:
        sink: The sink, before it is put back (`recover`).

    Raises:
        AdstreamError: `deltalake` is not installed.
    """
    if not isinstance(sink, FolderSink | DeltaSink):
        return Held("", -1)
    return Held(f"'{sink.root}'", max(_steps(sink), default=-1))


def _steps(sink: FolderSink | DeltaSink) -> Iterator[int]:
    for folder in (Path(sink.root, stream) for stream in sink.contracts):
        if isinstance(sink, FolderSink):
            numbers = (number_in(path.name) for path in folder.glob("*"))
            yield from (number for number in numbers if number is not None)
        elif (folder / DELTA_LOG).exists():
            yield last_step(delta_library().DeltaTable(str(folder)))
