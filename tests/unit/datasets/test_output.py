from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.datasets.output import FileFormat, StreamsOutput
from common.errors import AdstreamError
from common.streams.decode import read
from common.streams.folder import FolderSource

STREAMS = ("ad-views", "ad-clicks")
FORMATS = pytest.mark.parametrize("file_format", ["jsonl", "avro", "parquet"])


def records(*users: str) -> pa.Table:
    value = {"advertisementId": 1, "createdEventTime": 0}
    return pa.Table.from_pylist([{"key": user, "value": value} for user in users], schema=load("ad-views").arrow)


@FORMATS
def test_each_stream_gets_a_file_a_step(tmp_path: Path, file_format: FileFormat) -> None:
    with StreamsOutput(tmp_path, STREAMS, file_format) as out:
        out.write("ad-views", records("a"))
        out.write("ad-views", records("b", "c"))
        out.next_file()
        out.write("ad-clicks", records("d"))
        out.next_file()
    source = FolderSource.open(str(tmp_path), STREAMS)
    users = {
        (split.stream, Path(split.path).name): [
            key for decoded in read(split, load(split.stream), 2**60) for key in decoded.records["key"].to_pylist()
        ]
        for split in source.everything(2**20)
    }
    assert {place: found for place, found in users.items() if found} == {
        ("ad-views", f"000000.{file_format}"): ["a", "b", "c"],
        ("ad-clicks", f"000001.{file_format}"): ["d"],
    }
    names = [f"000000.{file_format}", f"000001.{file_format}"]
    assert [sorted(path.name for path in (tmp_path / stream).iterdir()) for stream in STREAMS] == [names, names]
    assert out.files == 2


def test_a_file_that_was_begun_is_completed(tmp_path: Path) -> None:
    with StreamsOutput(tmp_path, STREAMS, "jsonl") as out:
        out.write("ad-views", records("a"))
    assert (tmp_path / "ad-clicks" / "000000.jsonl").read_text() == ""
    assert (tmp_path / "ad-views" / "000000.jsonl").read_text().startswith('{"key":"a"')


def test_nothing_appears_before_all_is_there(tmp_path: Path) -> None:
    with StreamsOutput(tmp_path, STREAMS, "jsonl") as out:
        out.write("ad-views", records("a"))
        completed = out.next_file()
        assert all(path.exists() for path in completed.values())
        assert not (tmp_path / "ad-views").exists()


def test_nothing_stays_after_an_error(tmp_path: Path) -> None:
    def fails() -> None:
        with StreamsOutput(tmp_path, STREAMS, "jsonl") as out:
            out.write("ad-views", records("a"))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_streams_that_are_there_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "ad-clicks").mkdir()
    with pytest.raises(AdstreamError, match="ad-clicks is already there: choose another output folder"):
        StreamsOutput(tmp_path, STREAMS, "jsonl")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="'delta' files can't be made here: choose jsonl, avro, parquet"):
        StreamsOutput(tmp_path, STREAMS, "delta")  # type: ignore[arg-type]


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AdstreamError, match="can't write into"), StreamsOutput(tmp_path / "file", STREAMS, "jsonl"):
        pass
