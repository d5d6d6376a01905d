from __future__ import annotations

from pathlib import Path

import pytest

from common.cli import new
from common.errors import AdstreamError, ExitCode
from tests.unit.cli.conftest import Adstream


def test_a_stream_is_made_and_what_comes_next_is_said(
    adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new, "repository", lambda: tmp_path)
    said = adstream("new", "stream", "ad-refunds", "--owner", "billing")
    assert said.code == ExitCode.OK
    assert "common/contracts/streams/ad-refunds/stream.yaml\n" in said.out
    assert (tmp_path / "common/contracts/streams/ad-refunds/value.v1.avsc").is_file()
    assert "adstream contracts check" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("job", "sessions"), "there is a job 'sessions' already: choose another name"),
        (("job", "viewers", "--owner", "A B"), "owner 'A B' can't be called so"),
        (("stream", "ad-views", "--owner", "x"), "there is a stream 'ad-views' already"),
        (("stream", "refunds", "--owner", "x", "--kind", "fact"), "unknown kind 'fact': choose one of entity, event"),
    ],
)
def test_a_wrong_request_is_one_line(
    adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr(new, "repository", lambda: tmp_path)
    said = adstream("new", *arguments)
    assert said.code == ExitCode.REFUSED
    assert message in said.error
    assert list(tmp_path.iterdir()) == []


def test_an_installation_without_a_clone_is_refused(adstream: Adstream, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> Path:
        raise AdstreamError("adstream is installed here without its repository", "run it in a clone: make setup")

    monkeypatch.setattr(new, "repository", absent)
    assert "run it in a clone" in adstream("new", "job", "viewers").error
