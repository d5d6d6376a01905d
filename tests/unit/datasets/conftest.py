from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.contracts.contract import load
from common.streams.decode import read
from common.streams.folder import FolderSource

Records = Callable[[Path, str], list[dict[str, Any]]]


@pytest.fixture
def records() -> Records:
    """The records of a stream in a folder, in the order of files, as Python values; all keep the contract."""

    def of_stream(root: Path, stream: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for split in FolderSource.open(str(root), (stream,)).everything(2**30):
            for decoded in read(split, load(stream), 2**60):
                assert decoded.dead.num_rows == 0
                found += decoded.records.to_pylist()
        return found

    return of_stream
