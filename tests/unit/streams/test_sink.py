"""Exactly once: whatever is killed, repeated or left behind, a step's output is there once."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.errors import AdstreamError
from common.streams.folder import FolderSource, Position
from common.streams.materialise import records, table
from common.streams.sink import FORMATS, Part, Sink, open_sink
from tests.unit.streams.strategies import as_table

STREAM = "ad-engagements"
CONTRACTS = {STREAM: load(STREAM), "late-events": load("late-events")}
ZERO, ONE, TWO = "000000000", "000000001", "000000002"
EVERY = pytest.mark.parametrize("kind", FORMATS)


def rows(*keys: int, total: int | None = 1) -> pa.Table:
    values = [None if total is None else {"sum": total, "name": None, "type": None}] * len(keys)
    return as_table(CONTRACTS[STREAM], list(zip(keys, values, strict=True)))


def stage(sink: Sink, step: str, **parts: pa.Table) -> list[Part]:
    staged: list[Part] = []
    for name, batch in parts.items():
        with sink.writer(step, name) as writer:
            writer.write({STREAM: batch})
        staged += writer.parts
    return staged


def delivered(root: Path) -> list[int]:
    """The keys of all records, in order: each once, if each was delivered once."""
    return [row["key"] for batch in records(root, STREAM, CONTRACTS[STREAM]) for row in batch.to_pylist()]


@EVERY
def test_a_delivered_step_can_be_read_and_leaves_nothing_staged(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    parts = stage(sink, ZERO, a=rows(1, 2), b=rows(3), c=rows())
    assert [(part.stream, part.rows) for part in parts] == [(STREAM, 2), (STREAM, 1)]
    assert delivered(tmp_path) == []
    sink.deliver(ZERO, parts)
    assert delivered(tmp_path) == [1, 2, 3]
    assert not [path for path in (tmp_path / "_staging").rglob("*") if path.is_file()]
    assert not (tmp_path / "late-events").exists()


@EVERY
def test_delivering_twice_is_delivering_once(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    parts = stage(sink, ZERO, a=rows(1), b=rows(2))
    sink.deliver(ZERO, parts)
    sink.deliver(ZERO, parts)
    assert delivered(tmp_path) == [1, 2]


@EVERY
def test_a_step_taken_again_replaces_its_parts_however_many(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(9)))
    sink.deliver(ONE, stage(sink, ONE, a=rows(1), b=rows(2), c=rows(3)))
    sink.recover(ONE)
    sink.deliver(ONE, stage(sink, ONE, a=rows(3, 2, 1)))
    assert sorted(delivered(tmp_path)) == [1, 2, 3, 9]
    sink.deliver(ONE, stage(sink, ONE, a=rows(4)))
    assert delivered(tmp_path) == [9, 4]
    sink.deliver(ONE, [])
    assert delivered(tmp_path) == [9]


@EVERY
def test_what_was_staged_and_not_delivered_is_dropped(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1)))
    stage(sink, ONE, a=rows(2))
    sink.recover(ONE)
    assert delivered(tmp_path) == [1]
    assert not (tmp_path / "_staging").exists()


@EVERY
def test_another_checkpoint_takes_back_what_lies_beyond_it(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    for key, step in enumerate((ZERO, ONE, TWO)):
        sink.deliver(step, stage(sink, step, a=rows(key)))
    sink.recover(ONE)
    assert delivered(tmp_path) == [0]
    sink.deliver(ONE, stage(sink, ONE, a=rows(7)))
    assert delivered(tmp_path) == [0, 7]


@EVERY
def test_a_killed_delivery_is_completed_when_the_step_is_taken_again(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    parts = stage(sink, ZERO, a=rows(1), b=rows(2))
    sink.deliver(ZERO, parts[:1])  # as far as it came
    sink.recover(ZERO)
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1), b=rows(2)))
    assert delivered(tmp_path) == [1, 2]


@pytest.mark.parametrize("parts", [2, 3])
def test_who_follows_the_output_takes_whole_steps(parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, follower = open_sink(tmp_path, "jsonl", CONTRACTS), FolderSource(str(tmp_path), (STREAM,))
    sink.deliver(ZERO, stage(sink, ZERO, **{f"p{number}": rows(number) for number in range(2)}))
    first = follower.next_step(Position())
    assert first is not None and len(first.splits) == 2

    seen: list[int] = []
    replace = Path.replace

    def looked_at(path: Path, target: Path) -> Path:
        arrivals = follower.next_step(first.position)
        seen.append(len(arrivals.splits) if arrivals else 0)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", looked_at)
    sink.deliver(ONE, stage(sink, ONE, **{f"p{number}": rows(number) for number in range(parts)}))
    second = follower.next_step(first.position)
    assert seen == [0] * parts and second is not None and len(second.splits) == parts
    # A job that was killed before it noted the step delivers it again, maybe in other parts.
    sink.recover(ONE)
    assert follower.next_step(second.position) is None
    sink.deliver(ONE, stage(sink, ONE, a=rows(0, 1, 2)))
    sink.deliver(TWO, stage(sink, TWO, a=rows(7)))
    third = follower.next_step(second.position)
    assert third is not None and [Path(split.path).name for split in third.splits] == [f"{TWO}.a.jsonl"]


@pytest.mark.parametrize("kind", ["jsonl", "avro", "parquet"])
def test_files_of_others_stay(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    sink.deliver(ONE, stage(sink, ONE, a=rows(1)))
    others = [
        tmp_path / STREAM / name for name in ("000001.jsonl", "part-7.parquet", f"{TWO}~000001.jsonl", "b.a.jsonl")
    ]
    for path in others:
        path.touch()
    sink.recover(ZERO)
    assert sorted((tmp_path / STREAM).iterdir()) == sorted(others)


@EVERY
def test_a_batch_run_begins_with_nothing_and_a_stream_run_drops_its_output(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1)))
    sink.clear()
    assert delivered(tmp_path) == []
    sink.deliver("batch", stage(sink, "batch", **{"dead-0": rows(2)}))
    assert delivered(tmp_path) == [2]
    sink.recover(ZERO)
    assert delivered(tmp_path) == []
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(3)))
    assert delivered(tmp_path) == [3]


@EVERY
def test_a_task_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    writer = sink.writer(ZERO, "a")
    with pytest.raises(KeyError, match="unknown"), writer:
        writer.write({STREAM: rows(1), "unknown": rows(1)})
    assert writer.parts == ()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@EVERY
def test_two_attempts_of_a_task_do_not_touch_each_other(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    with sink.writer(ZERO, "a") as first, sink.writer(ZERO, "a") as second:
        first.write({STREAM: rows(1)})
        second.write({STREAM: rows(1)})
    sink.deliver(ZERO, second.parts)
    assert delivered(tmp_path) == [1]


def test_small_writes_become_large_ones(tmp_path: Path) -> None:
    sink = open_sink(tmp_path, "parquet", CONTRACTS)
    with sink.writer(ZERO, "a") as writer:
        for key in range(50):
            writer.write({STREAM: rows(key)})
    [part] = writer.parts
    assert part.rows == 50
    assert pa.parquet.ParquetFile(part.path).num_row_groups == 1


def _stage_in_child(sink: Sink, part: str) -> list[Part]:
    return stage(sink, ZERO, **{part: rows(int(part[1:]))})


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_sink_works_in_forked_processes(kind: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path, kind, CONTRACTS)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.starmap(_stage_in_child, [(sink, "p1"), (sink, "p2")])
    sink.deliver(ZERO, [part for staged in parts for part in staged])
    assert delivered(tmp_path) == [1, 2]


@EVERY
def test_a_sink_can_be_pickled(kind: str, tmp_path: Path) -> None:
    sink = pickle.loads(pickle.dumps(open_sink(tmp_path, kind, CONTRACTS)))  # noqa: S301 its own
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1)))
    assert delivered(tmp_path) == [1]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="unknown output format 'csv'"):
        open_sink(tmp_path, "csv", CONTRACTS)


@pytest.mark.parametrize(("before", "after"), [("delta", "parquet"), ("parquet", "delta")])
def test_output_of_another_kind_is_refused_and_a_batch_run_replaces_it(before: str, after: str, tmp_path: Path) -> None:
    first, second = (open_sink(tmp_path, kind, CONTRACTS) for kind in (before, after))
    first.deliver(ZERO, stage(first, ZERO, a=rows(1)))
    with pytest.raises(AdstreamError, match="Delta table"):
        second.recover(ZERO)
    second.clear()
    second.deliver("batch", stage(second, "batch", a=rows(2)))
    assert delivered(tmp_path) == [2]


def test_a_tombstone_takes_its_key_out_of_the_table(tmp_path: Path) -> None:
    sink = open_sink(tmp_path, "avro", CONTRACTS)
    sink.deliver(ZERO, stage(sink, ZERO, a=rows(1, 2)))
    sink.deliver(ONE, stage(sink, ONE, a=rows(1, total=None), b=rows(2, total=5)))
    assert table(tmp_path, STREAM, CONTRACTS[STREAM]).to_pylist() == [
        {"key": 2, "value": {"sum": 5, "name": None, "type": None}}
    ]


def test_a_step_makes_nothing_of_the_files_of_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that follows its input has made a hundred thousand of them in a day or two."""
    sink, made = open_sink(tmp_path, "jsonl", CONTRACTS), list[str]()
    (tmp_path / STREAM).mkdir()
    for step in range(100):
        (tmp_path / STREAM / f"{step:09d}.a.jsonl").touch()
    parts, join = stage(sink, "000000100", a=rows(1)), Path.__truediv__

    def counted(folder: Path, name: str) -> Path:
        made.append(name)
        return join(folder, name)

    monkeypatch.setattr(Path, "__truediv__", counted)
    monkeypatch.setattr(Path, "iterdir", lambda folder: (counted(folder, each.name) for each in os.scandir(folder)))
    sink.deliver("000000100", parts)
    assert [name for name in made if name.endswith(".a.jsonl")] == ["000000100.a.jsonl"] * 2
