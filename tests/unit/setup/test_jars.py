from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.errors import AdstreamError, ExitCode
from common.setup import jars as module
from common.setup.jars import groups, jars


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "adstream"


def test_every_coordinate_is_pinned() -> None:
    for coordinates in groups().values():
        for coordinate in coordinates:
            assert re.fullmatch(r"[\w.-]+:[\w.-]+:\d[\w.-]*(:\w+:[\w.]+)?", coordinate), coordinate


def test_a_group_is_fetched_once(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    asked = []

    def resolved(coordinates: list[str], repository: Path) -> list[Path]:
        asked.append(coordinates)
        jar = repository / "org" / "one-1.0.jar"
        jar.parent.mkdir(parents=True)
        jar.touch()
        return [jar]

    monkeypatch.setattr(module, "_resolved", resolved)
    group, coordinates = next(iter(groups().items()))
    first = jars(group)
    assert [path.name for path in first] == ["one-1.0.jar"]
    assert first[0].is_relative_to(cache / "jars")
    assert jars(group) == first
    assert asked == [coordinates]


def test_a_download_that_fails_is_told_in_one_line_and_leaves_no_jar(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def resolved(_: list[str], repository: Path) -> list[Path]:
        repository.mkdir()
        (repository / "half.jar").touch()
        raise ConnectionError("no route to host")

    monkeypatch.setattr(module, "_resolved", resolved)
    with pytest.raises(AdstreamError, match=r"no route to host\): run `make setup`") as refused:
        jars(next(iter(groups())))
    assert refused.value.code is ExitCode.UNAVAILABLE
    assert not list(cache.rglob("*.jar"))
