"""Parquet files as files: whether they can be read, and where they can be cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import AdstreamError, reason_of


def row_group_ranges(path: Path, split_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of row groups of about `split_bytes` each.

    Raises:
        AdstreamError: The footer can't be read.
    """
    metadata = open_parquet(str(path)).metadata
    start, held = 0, 0
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).total_byte_size
        if held and held + size > split_bytes:
            yield start, group
            start, held = group, 0
        held += size
    yield start, -1


def open_parquet(path: str) -> pq.ParquetFile:
    """Opens a file and reads its footer.

    Raises:
        AdstreamError: It is no Parquet file, or not a complete one.
    """
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: Exception) -> AdstreamError:
    """What to tell the user of a file that pyarrow can't read."""
    return AdstreamError(f"'{path}' can't be read as Parquet ({reason_of(error)})", "write it again, or move it away")
