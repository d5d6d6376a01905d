from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from common.cli.database import pause_of, sink_of, turns
from common.contracts.contract import load
from common.errors import AdstreamError
from common.streams.sink import FolderSink


def test_a_pause_is_in_seconds() -> None:
    assert pause_of("") is None
    assert pause_of("1m30s") == 90.0
    assert pause_of("250ms") == 0.25


def test_a_pause_that_is_none_is_refused() -> None:
    with pytest.raises(AdstreamError, match=r"--every: 'soon' is not a duration"):
        pause_of("soon")


def test_without_a_broker_records_go_to_the_folder(tmp_path: Path) -> None:
    contracts = {"advertisements": load("advertisements")}
    assert sink_of("job", contracts, tmp_path, "", "jsonl") == FolderSink(str(tmp_path), "jsonl", contracts)


def test_there_is_one_turn_without_a_pause_and_one_after_another_with_it() -> None:
    assert list(turns(None)) == [None]
    assert list(islice(turns(0.0), 5)) == [None] * 5
