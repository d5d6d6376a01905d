from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest

from common.setup.cache import cache_folder, provide


def test_the_cache_follows_the_xdg_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder({}) == tmp_path / ".cache" / "adstream"
    assert cache_folder({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/adstream")
    assert cache_folder({"XDG_CACHE_HOME": "not/absolute"}) == tmp_path / ".cache" / "adstream"


def test_several_at_once_fill_a_folder_once(tmp_path: Path) -> None:
    filled = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        sleep(0.05)
        (folder / "content").touch()

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: provide(tmp_path / "a" / "folder", fill), range(4)))
    assert folders == [tmp_path / "a" / "folder"] * 4
    assert len(filled) == 1
    assert (tmp_path / "a" / "folder" / "content").exists()


def test_what_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        provide(tmp_path / "folder", fill)
    assert not (tmp_path / "folder").exists()
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
