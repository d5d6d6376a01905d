"""Frames as rows, and the offsets of the streaming source; no Spark session is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyspark")

from pyspark.sql.streaming.datasource import ReadMaxFiles

from common.engines.spark.sources import FRAMES, ArrivalsReader, StepSplits, by_bucket, rows
from common.runtime.frames import Frame, Kind
from common.streams.folder import FolderSource
from tests.engines.spark.conftest import STREAMS, line, write

ONE = ReadMaxFiles(1)
BEGINNING = {"step": 4, "position": {"counts": {}, "last": {}}}


def test_rows_give_the_frames_back() -> None:
    frames = [Frame(b, Kind.EVENTS, "ad-views", b * 10, bytes(5_000_000)) for b in (0, 0, 3)]
    frames.append(Frame(3, Kind.TIME, "ad-views", 30))
    batches = list(rows(frames))
    assert [batch.num_rows for batch in batches] == [2, 2]
    assert all(batch.schema == FRAMES for batch in batches)
    assert list(by_bucket(batches)) == [(0, frames[:2]), (3, frames[2:])]
    assert list(rows([])) == []


@pytest.fixture
def reader(tmp_path: Path) -> ArrivalsReader:
    for name in ("a", "b"):
        write(str(tmp_path), name, [line("u", 0)], [])
    return ArrivalsReader(FolderSource.open(tmp_path, STREAMS), "", BEGINNING, 2)


def test_an_offset_is_a_step(reader: ArrivalsReader) -> None:
    assert reader.initialOffset() == BEGINNING
    first = reader.latestOffset(BEGINNING, ONE)
    assert (first["step"], first["position"]["last"]) == (5, dict.fromkeys(STREAMS, "a"))
    second = reader.latestOffset(first, ONE)
    assert reader.latestOffset(second, ONE) == second
    paths = [split.path for partition in reader.partitions(BEGINNING, first) for split in partition.splits]
    assert [Path(path).parts[-2:] for path in paths] == [("ad-views", "a.jsonl")]  # the empty file is no split
    assert reader.partitions(first, first) == []
    assert all(isinstance(partition, StepSplits) for partition in reader.partitions(first, second))


def test_a_run_that_catches_up_does_not_chase_what_arrives_meanwhile(reader: ArrivalsReader, tmp_path: Path) -> None:
    reader.prepareForTriggerAvailableNow()
    write(str(tmp_path), "c", [line("u", 0)], [])
    offset = BEGINNING
    for _ in range(3):
        offset = reader.latestOffset(offset, ONE)
    assert (offset["step"], offset["position"]["last"]["ad-views"]) == (6, "b")


def test_what_is_committed_is_forgotten(reader: ArrivalsReader) -> None:
    first = reader.latestOffset(BEGINNING, ONE)
    second = reader.latestOffset(first, ONE)
    reader.commit(first)
    assert len(reader.partitions(first, second)) == 1
    with pytest.raises(KeyError):
        reader.partitions(BEGINNING, first)
