from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.cli.main import invoke


@dataclass(frozen=True)
class Said:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The only line on standard error."""
        (line,) = self.err.splitlines()
        return line


Adstream = Callable[..., Said]


@pytest.fixture
def adstream(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Adstream:
    """The command line, in this process; an engine still runs in its own."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Said:
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture
def ads(tmp_path: Path) -> Path:
    """Two files a stream: three sessions of two users, one malformed record."""
    root = tmp_path / "ads"
    write(root / "ad-views" / "0.jsonl", [record("ann", 1, 0), record("bob", 1, 60_000)])
    write(root / "ad-views" / "1.jsonl", [record("ann", 2, 3_600_000)])
    write(root / "ad-clicks" / "0.jsonl", [record("ann", 1, 5_000), "{"])
    write(root / "ad-clicks" / "1.jsonl", [record("ann", 2, 3_605_000)])
    return root


def record(user: str, advertisement: int, time: int) -> str:
    return json.dumps({"key": user, "value": {"advertisementId": advertisement, "createdEventTime": time}})


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
