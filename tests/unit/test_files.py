from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.files import staged


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    with staged(path) as place:
        place.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with staged(path) as place:
        place.write_text("newer")
        assert path.read_text() == "new"
    assert [(file.name, file.read_text()) for file in path.parent.iterdir()] == [("a.json", "newer")]


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
def test_what_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write() -> None:
        with staged(path) as place:
            place.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]


def test_of_several_writers_one_whole_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def write(number: int) -> None:
        with staged(path) as place:
            place.write_text(str(number) * 10_000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    text = path.read_text()
    assert text == text[0] * 10_000
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
