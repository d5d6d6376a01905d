"""A folder as a broker: what arrives when, and what can't be."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import AdstreamError
from common.streams.folder import FolderSource, Position, Split

BOTH = ("ad-views", "ad-clicks")


def source(root: Path, views: list[str], clicks: list[str]) -> FolderSource:
    for stream, names in zip(BOTH, (views, clicks), strict=True):
        (root / stream).mkdir(exist_ok=True)
        for name in names:
            (root / stream / name).write_text("x" * 25)
    return FolderSource.open(root, BOTH)


def steps(opened: FolderSource, position: Position = Position()) -> list[list[str]]:  # noqa: B008 a frozen value
    taken = []
    while (arrivals := opened.next_step(position)) is not None:
        taken.append([f"{split.stream[3]}/{Path(split.path).name}" for split in arrivals.splits])
        position = arrivals.position
    return taken


def test_a_step_takes_the_next_file_of_each_stream_in_name_order(tmp_path: Path) -> None:
    opened = source(tmp_path, ["b.jsonl", "a.avro", "c.parquet"], ["z.jsonl", "_SUCCESS", ".hidden"])
    assert steps(opened) == [["v/a.avro", "c/z.jsonl"], ["v/b.jsonl"], ["v/c.parquet"]]


def test_parts_with_one_name_are_one_arrival(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.1.jsonl", "a.2.jsonl", "a-b.jsonl"], [])
    assert steps(opened) == [["v/a.1.jsonl", "v/a.2.jsonl"], ["v/a-b.jsonl"]]


def test_a_position_goes_on_where_it_was_even_after_pickling(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.jsonl"], ["a.jsonl"])
    first = opened.next_step(Position())
    assert first is not None
    one = {"ad-views": 1, "ad-clicks": 1}
    assert first.position == Position(one, {"ad-views": "a", "ad-clicks": "a"}, present=one, parts=one)
    assert opened.next_step(first.position) is None
    (tmp_path / "ad-clicks" / "b.jsonl").touch()
    again = pickle.loads(pickle.dumps(opened))  # noqa: S301 its own
    assert steps(again, first.position) == [["c/b.jsonl"]]


def test_a_step_has_arrived_when_its_last_file_was_written(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.1.jsonl", "a.2.jsonl"], ["a.jsonl"])
    for path, seconds in (("ad-views/a.1.jsonl", 3), ("ad-views/a.2.jsonl", 9.5), ("ad-clicks/a.jsonl", 4)):
        os.utime(tmp_path / path, (seconds, seconds))
    first, again = opened.next_step(Position()), opened.next_step(Position())
    assert first is not None
    assert first.arrived == 9_500
    assert first == again


def test_a_file_that_sorts_before_what_was_taken_is_refused(tmp_path: Path) -> None:
    opened = source(tmp_path, ["b.jsonl"], [])
    first = opened.next_step(Position())
    assert first is not None
    (tmp_path / "ad-views" / "a.jsonl").touch()
    with pytest.raises(AdstreamError, match="2 files sort up to 'b', but 1 were taken"):
        opened.next_step(first.position)


def test_files_that_were_taken_may_be_deleted(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.jsonl", "b.jsonl"], [])
    first = opened.next_step(Position())
    assert first is not None
    (tmp_path / "ad-views" / "a.jsonl").unlink()
    assert steps(opened, first.position) == [["v/b.jsonl"]]


def test_a_file_that_sorts_before_what_was_taken_is_refused_where_some_of_that_was_deleted(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.jsonl", "c.jsonl"], [])
    first = opened.next_step(Position())
    assert first is not None
    (tmp_path / "ad-views" / "a.jsonl").unlink()
    second = opened.next_step(first.position)
    assert second is not None
    (tmp_path / "ad-views" / "b.jsonl").touch()
    with pytest.raises(AdstreamError, match="2 files sort up to 'c', but 1 were taken"):
        opened.next_step(second.position)


def test_a_part_that_comes_after_its_arrival_was_taken_is_refused(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.1.jsonl"], [])
    first = opened.next_step(Position())
    assert first is not None
    (tmp_path / "ad-views" / "a.2.jsonl").touch()
    with pytest.raises(AdstreamError, match=r"'a' has 2 files, but 1 were taken: .* as in a\.1\.of2\.jsonl"):
        opened.next_step(first.position)


def test_an_arrival_whose_names_say_how_many_there_are_is_taken_once_all_are_there(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.0.of2.jsonl"], ["a.jsonl"])
    assert steps(opened) == [["c/a.jsonl"]]
    (tmp_path / "ad-views" / "a.1.of2.jsonl").touch()
    assert steps(opened) == [["v/a.0.of2.jsonl", "v/a.1.of2.jsonl", "c/a.jsonl"]]
    assert len(opened.everything(100)) == 2
    (tmp_path / "ad-views" / "a.0.of3.jsonl").touch()  # the step is replaced by one with other parts
    assert steps(opened) == [["c/a.jsonl"]]
    assert [split.stream for split in opened.everything(100)] == ["ad-clicks"]
    (tmp_path / "ad-views" / "b.jsonl").touch()
    with pytest.raises(AdstreamError, match="'a' has 3 of 2 or 3 files, and 'b' is there already"):
        opened.next_step(Position())


def test_parts_that_were_taken_may_be_deleted_one_by_one(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.0.of2.jsonl", "a.1.of2.jsonl", "b.jsonl"], [])
    first = opened.next_step(Position())
    assert first is not None
    (tmp_path / "ad-views" / "a.0.of2.jsonl").unlink()
    assert steps(FolderSource.open(tmp_path, BOTH), first.position) == [["v/b.jsonl"]]
    with pytest.raises(AdstreamError, match="'a' has 1 of 2 files, and 'b' is there already"):
        opened.everything(100)


def test_splits_sort_as_files_are_taken(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.jsonl", "a-b.jsonl", "a+c.1.jsonl", "a.2.jsonl"], [])
    taken = [name for step in steps(opened) for name in step]
    splits = opened.everything(10)
    in_order = list(dict.fromkeys(f"v/{Path(split.path).name}" for split in sorted(splits, key=lambda s: s.order)))
    assert in_order == taken == ["v/a.2.jsonl", "v/a.jsonl", "v/a+c.1.jsonl", "v/a-b.jsonl"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing", "input folder '.*missing' does not exist"),
        ("", "stream 'ad-views': no folder"),
        ("ad-views/a.csv", "a.csv': unknown kind of file"),
        ("ad-views/_delta_log", "is a Delta table"),
    ],
)
def test_what_is_no_stream_of_files_is_refused(path: str, problem: str, tmp_path: Path) -> None:
    root = tmp_path / path if path == "missing" else tmp_path
    if "/" in path:
        (tmp_path / "ad-views").mkdir()
        (tmp_path / path).touch()
    with pytest.raises(AdstreamError, match=problem):
        FolderSource.open(root, ("ad-views",))


def test_everything_cuts_lines_by_bytes_and_parquet_by_row_groups(tmp_path: Path) -> None:
    opened = source(tmp_path, ["a.jsonl", "b.avro"], [])
    path = tmp_path / "ad-clicks" / "c.parquet"
    pq.write_table(pa.table({"a": range(10)}), path, row_group_size=2)
    (tmp_path / "ad-clicks" / "empty.parquet").touch()
    one = pq.ParquetFile(path).metadata.row_group(0).total_byte_size
    views, clicks = str(tmp_path / "ad-views"), str(path)
    assert opened.everything(10)[:4] == (
        *(Split("ad-views", f"{views}/a.jsonl", start, stop) for start, stop in ((0, 10), (10, 20), (20, 25))),
        Split("ad-views", f"{views}/b.avro"),
    )
    ranges = [(split.start, split.stop) for split in opened.everything(2 * one) if split.path == clicks]
    assert ranges == [(0, 2), (2, 4), (4, -1)]


def test_a_parquet_file_without_a_footer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="can't be read as Parquet"):
        source(tmp_path, ["a.parquet"], []).everything(10)


def test_a_step_that_is_being_replaced_is_not_whole_when_the_number_of_its_files_happens_to_be_right(
    tmp_path: Path,
) -> None:
    """It had two parts and gets one: for a moment the new one stands beside one of the old ones."""
    opened = source(tmp_path, ["a.p0.jsonl", "a.p1.of2.jsonl"], [])
    assert steps(opened) == []
    (tmp_path / "ad-views" / "a.p1.of2.jsonl").unlink()
    assert steps(opened) == [["v/a.p0.jsonl"]]


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ad-views").mkdir()
    (tmp_path / "ad-views" / os.fsdecode(b"\xe4.jsonl")).touch()
    with pytest.raises(AdstreamError, match=r"the name of the file b'\\xe4.jsonl' is not UTF-8: rename it"):
        source(tmp_path, [], [])
    (tmp_path / "ad-views" / os.fsdecode(b"\xe4.jsonl")).rename(tmp_path / "ad-views" / "ä.jsonl")
    assert steps(source(tmp_path, [], [])) == [["v/ä.jsonl"]]
