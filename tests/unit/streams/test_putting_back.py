"""A replay into a folder: all or nothing, and each letter once, wherever it is interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.errors import AdstreamError
from common.streams.folder import FolderSource, Position
from common.streams.letters import Identity
from common.streams.materialise import records
from common.streams.putting_back import Folder

STREAMS = ("customer-rows", "campaign-rows")


class StoppedError(Exception):
    """The process ends here."""


def rows(stream: str, keys: range) -> pa.Table:
    values = {"customer-rows": {"name": "a", "country": "DE", "creditLimit": 1}, "campaign-rows": {"name": "a"}}
    return pa.Table.from_pylist([{"key": key, "value": values[stream]} for key in keys], schema=load(stream).arrow)


def letters(stream: str, keys: range) -> list[Identity]:
    return [Identity(stream, f"{stream}/000001.jsonl", key) for key in keys]


def replay(root: Path, keys: range) -> None:
    """As the command does it: what was put back is left out."""
    folder = Folder(root)
    there = folder.replayed()
    wanted = {stream: [key for key in letters(stream, keys) if key not in there] for stream in STREAMS}
    if any(wanted.values()):
        tables = {
            stream: pa.concat_tables([rows(stream, range(key.offset, key.offset + 1)) for key in some])
            for stream, some in wanted.items()
            if some
        }
        folder.put(tables, [letter for some in wanted.values() for letter in some])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for stream in STREAMS:
        (tmp_path / stream).mkdir()
        (tmp_path / stream / "000001.jsonl").touch()
    return tmp_path


def keys(root: Path, stream: str) -> list[int]:
    return [key for part in records(root, stream, load(stream)) for key in part["key"].to_pylist()]


def test_what_is_put_back_comes_behind_all_and_once(root: Path) -> None:
    source = FolderSource.open(root, STREAMS)
    first = source.next_step(Position())
    assert first is not None
    replay(root, range(3))
    replay(root, range(5))
    replay(root, range(5))
    for stream in STREAMS:
        assert keys(root, stream) == [0, 1, 2, 3, 4]
    names = [path.name for path in source.files("customer-rows")]
    assert names == ["000001.jsonl", "000001~000001.jsonl", "000001~000002.jsonl"]
    (root / "customer-rows" / "000002.jsonl").touch()
    replay(root, range(6))
    assert source.files("customer-rows")[-1].name == "000002~000003.jsonl"
    second = source.next_step(first.position)
    assert second is not None and Path(second.splits[0].path).name == "000001~000001.jsonl"


def test_letters_of_a_stream_that_was_made_anew_are_put_back_again(root: Path) -> None:
    replay(root, range(3))
    shutil.rmtree(root / "customer-rows")  # as `Sink.clear` does
    (root / "customer-rows").mkdir()
    (root / "customer-rows" / "000000.jsonl").touch()
    assert Folder(root).replayed() == set(letters("campaign-rows", range(3)))
    replay(root, range(3))
    replay(root, range(3))
    assert keys(root, "customer-rows") == keys(root, "campaign-rows") == [0, 1, 2]


def test_letters_stay_put_back_when_files_that_were_taken_are_removed(root: Path) -> None:
    replay(root, range(3))
    (root / "customer-rows" / "000002.jsonl").touch()
    for name in ("000001.jsonl", "000001~000001.jsonl"):
        (root / "customer-rows" / name).unlink()
    assert Folder(root).replayed() >= set(letters("customer-rows", range(3)))


def test_a_replay_that_is_stopped_anywhere_is_completed_or_was_never_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = 0
    for calls in range(20):
        again = Path(shutil.copytree(root, tmp_path / f"again-{calls}", ignore=shutil.ignore_patterns("again-*")))
        with monkeypatch.context() as patch:
            stop_after(calls, patch)
            try:
                replay(again, range(3))
            except StoppedError:
                stopped += 1
        replay(again, range(4))
        replay(again, range(4))
        for stream in STREAMS:
            assert keys(again, stream) == [0, 1, 2, 3], f"stopped before call {calls}"
    assert 5 < stopped < 20


def stop_after(calls: int, patch: pytest.MonkeyPatch) -> None:
    """Lets the process end before the next change of a folder, after so many of them."""
    left: Iterator[int] = iter(range(calls))

    def counting(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def changed(*arguments: object, **options: object) -> object:
            if next(left, None) is None:
                raise StoppedError
            return original(*arguments, **options)

        patch.setattr(owner, name, changed)

    for name in ("mkdir", "write_text", "replace"):
        counting(Path, name)
    counting(shutil, "rmtree")


def test_a_stream_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="stream 'customer-rows': no folder"):
        Folder(tmp_path).put({"customer-rows": rows("customer-rows", range(1))}, [])
    assert list(tmp_path.iterdir()) == []
