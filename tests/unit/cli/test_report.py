from __future__ import annotations

from pathlib import Path

from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream


def test_a_run_becomes_a_page(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "report.html"
    assert adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out).code == ExitCode.OK
    said = adstream("report", "--output-dir", out, "-o", target)
    assert said.code == ExitCode.OK
    assert said.out.startswith(f"report: {target} (")
    assert target.read_text().startswith("<!doctype html>")


def test_a_folder_without_a_run_is_refused(adstream: Adstream, tmp_path: Path) -> None:
    said = adstream("report", "--output-dir", tmp_path)
    assert said.code == ExitCode.REFUSED
    assert said.error == (
        f"adstream: '{tmp_path}' is not the output of a run: make one: "
        f"adstream run sessions --engine local --input DIR --output {tmp_path}"
    )


def test_a_run_that_can_not_be_read_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out)
    (out / "_run" / "summary.json").write_text("{")
    said = adstream("report", "--output-dir", out)
    assert said.code == ExitCode.REFUSED
    assert f"'{out}/_run' can't be read" in said.error


def test_a_page_that_can_not_be_written_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out)
    said = adstream("report", "--output-dir", out, "-o", tmp_path / "nowhere" / "report.html")
    assert said.code == ExitCode.REFUSED
    assert "choose another -o" in said.error
