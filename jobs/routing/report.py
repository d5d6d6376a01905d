"""What the output of the routing job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

from common.contracts.contract import load, streams
from common.streams.materialise import records

APART = ("dead-letters",)
"""Streams that every job has; the table counts them elsewhere."""


def report(output: Path) -> dict[str, int | str]:
    """How many records each stream got.

    Args:
        output: The output folder of a run.
    """
    written = [stream for stream in streams() if (output / stream).is_dir() and stream not in APART]
    return {stream: sum(batch.num_rows for batch in records(output, stream, load(stream))) for stream in written}
