from __future__ import annotations

import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "a/b"), "No such file or directory"),
        (OSError("a store does not answer\nat line 1"), "a store does not answer"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ValueError("not JSON\nat line 1"), "not JSON"),
    ],
)
def test_a_reason_names_no_file_and_no_number(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_nor_does_that_of_a_library(tmp_path: Path) -> None:
    with pytest.raises((OSError, pa.ArrowException)) as raised:
        pq.ParquetFile(tmp_path / "none.parquet")
    assert reason_of(raised.value) == "No such file or directory"
