from __future__ import annotations

from pathlib import Path

from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream, record, write


def test_a_folder_is_printed_as_it_is_called(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "[red]a[" / "b]:bug:"
    assert adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out).code == ExitCode.OK
    assert adstream("report", "--output-dir", out, "-o", out / "a.html").out.startswith(f"report: {out / 'a.html'} (")


def test_a_file_of_a_stream_is_printed_as_it_is_called(adstream: Adstream, tmp_path: Path) -> None:
    for stream in ("ad-views", "ad-clicks"):
        write(tmp_path / "ads" / stream / "0[red]:bug:.jsonl", [record("ann", 1, 0)])
    run = ("run", "sessions", "--engine", "local", "--input", tmp_path / "ads", "--output", tmp_path / "out")
    assert adstream(*run, "--mode", "stream", "--until-caught-up").code == ExitCode.OK
    assert " 0[red]:bug: " in adstream("checkpoints", "show", "sessions", "--output", tmp_path / "out").out
