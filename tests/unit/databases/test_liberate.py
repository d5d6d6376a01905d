"""A liberation that goes on: what of, in which database, into which folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pytest

from common.databases import sql
from common.databases.liberate import Liberator, contracts_of, load_progress, save_progress
from common.databases.liberation import Liberation, load
from common.databases.progress import Column, Progress, Snapshot
from common.errors import AdstreamError
from common.streams.sink import open_sink

STREAM = "advertisements"
HERE = Snapshot("here", 20_000, 20_000, 100, timeline=1)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("type", pa.string()),
        ("is_deleted", pa.bool_()),
        ("updated_at", pa.timestamp("us", tz="UTC")),
    ]
)
T = TypeVar("T")


class Shop:
    """A database without a row."""

    url = "postgresql://nowhere"

    def __init__(self, snapshot: Snapshot = HERE) -> None:
        self.snapshot = snapshot

    def rows(self, query: str) -> pa.Table:
        if query == sql.SNAPSHOT:
            return pa.Table.from_pylist([vars(self.snapshot)])
        return SCHEMA.empty_table()


def no_tasks(_: Sequence[Callable[[], T]], /) -> list[T]:
    raise AssertionError("there is no page")


def liberator(root: Path, stream: str = STREAM, liberation: Liberation | None = None) -> Liberator:
    sink = open_sink(root, "jsonl", contracts_of(stream))
    return Liberator(stream, liberation or load(stream), sink, root / "progress.json", no_tasks, 1)


def freed(root: Path, shop: Any) -> Progress:
    """A first run, that finds nothing."""
    some = liberator(root)
    return some.run(shop, some.resume(again=False))[0]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"step": 1}', '{"window": 1, "waiting": 1, "after": 1, "ends": 1}']
)
def test_what_is_no_progress_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text(content)
    with pytest.raises(AdstreamError, match="is not the progress of a liberation"):
        load_progress(path)


@pytest.mark.parametrize("again", [False, True])
def test_the_progress_of_another_stream_is_refused(tmp_path: Path, again: bool) -> None:
    """Both read one table along the same columns: the second would get what changed since the first alone."""
    freed(tmp_path, Shop())
    with pytest.raises(AdstreamError, match="is the progress of stream 'advertisements', not of 'advertisement-rows'"):
        liberator(tmp_path, "advertisement-rows").resume(again=again)


@pytest.mark.parametrize(
    "change",
    [
        {"value": {"name": "type", "type": "type"}},
        {"deleted": ""},
        {"table": "", "query": "SELECT * FROM advertisement"},
    ],
)
def test_a_section_that_would_make_other_records_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    freed(tmp_path, Shop())
    changed = load(STREAM).model_copy(update=change)
    with pytest.raises(AdstreamError, match=r"is the progress of .*: put the configuration back, or add --again"):
        liberator(tmp_path, liberation=changed).resume(again=False)
    assert liberator(tmp_path, liberation=changed).resume(again=True).horizon == 0


def test_a_query_that_changed_is_refused(tmp_path: Path) -> None:
    first, second = (
        load(STREAM).model_copy(update={"table": "", "query": query}) for query in ("SELECT 1", "SELECT 2")
    )
    some = liberator(tmp_path, liberation=first)
    some.run(Shop(), some.resume(again=False))  # type: ignore[arg-type]
    with pytest.raises(AdstreamError, match="its section has changed"):
        liberator(tmp_path, liberation=second).resume(again=False)


def test_the_size_of_pages_and_the_lag_may_be_changed(tmp_path: Path) -> None:
    freed(tmp_path, Shop())
    read = load(STREAM).read.model_copy(update={"lag": 7})
    changed = load(STREAM).model_copy(update={"page": 3, "read": read})
    assert liberator(tmp_path, liberation=changed).resume(again=False).horizon == 20_000


def test_a_progress_that_has_not_noted_its_stream_goes_on(tmp_path: Path) -> None:
    save_progress(tmp_path / "progress.json", replace(freed(tmp_path, Shop()), stream="", section=""))
    assert liberator(tmp_path).resume(again=False).horizon == 20_000
    freed(tmp_path, Shop())
    assert load_progress(tmp_path / "progress.json").stream == STREAM


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (replace(HERE, system="there"), "the database is there, the progress is of here"),
        (replace(HERE, timeline=2), "it is on timeline 2, 1 was read"),
        (replace(HERE, xmin=9_000, xmax=9_000), "the database went back: its next transaction is 9000, 20000 was"),
        (replace(HERE, now=HERE.now - 10**9), "the database's clock went back"),
    ],
)
def test_a_window_that_was_left_open_goes_on_in_its_own_database_only(
    tmp_path: Path, snapshot: Snapshot, line: str
) -> None:
    some = liberator(tmp_path)
    column = Column(timed=True, lag=600_000_000)
    opened = Progress().opened(HERE, column, repeats=True).planned(lambda: [("7",)], 1)
    save_progress(tmp_path / "progress.json", opened)
    with pytest.raises(AdstreamError, match=line):
        some.run(Shop(snapshot), some.resume(again=False))  # type: ignore[arg-type]


def deliver(root: Path, *steps: int) -> list[str]:
    """Steps of the stream in a folder; gives the names of its files."""
    sink = open_sink(root, "jsonl", contracts_of(STREAM))
    for step in steps:
        with sink.writer(f"{step:09d}", "p0") as writer:
            writer.write(
                {STREAM: pa.Table.from_pylist([{"key": 1, "value": None}], contracts_of(STREAM)[STREAM].arrow)}
            )
        sink.deliver(f"{step:09d}", writer.parts)
    return sorted(path.name for path in (root / STREAM).iterdir())


def test_a_folder_with_steps_that_the_progress_does_not_know_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    there = deliver(tmp_path, 0, 1)
    with pytest.raises(AdstreamError, match=f"'{tmp_path}' has steps up to 1 of this stream, but '.*' is at 0"):
        liberator(tmp_path).resume(again=False)
    assert deliver(tmp_path) == there


def test_again_goes_on_behind_what_a_folder_holds(tmp_path: Path) -> None:
    """A reader that has taken these steps would pass over others in their place."""
    there = deliver(tmp_path, 0, 4)
    (tmp_path / "progress.json").unlink(missing_ok=True)
    assert liberator(tmp_path).resume(again=True).step == 5
    assert liberator(tmp_path).resume(again=False).step == 5
    assert deliver(tmp_path) == there


def test_a_step_that_was_delivered_before_a_kill_is_sent_again(tmp_path: Path) -> None:
    deliver(tmp_path, 0)
    opened = Progress().opened(HERE, None, repeats=True).planned(lambda: [("7",)], 1)
    save_progress(tmp_path / "progress.json", opened)
    assert liberator(tmp_path).resume(again=False) == opened
