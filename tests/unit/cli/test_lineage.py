from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream


def test_it_is_told_as_text_unless_asked_otherwise(adstream: Adstream) -> None:
    said = adstream("lineage")
    assert said.code == ExitCode.OK
    assert "team boundaries\n" in said.out
    assert said.err == ""


def test_a_job_or_stream_is_shown_with_what_is_around_it(adstream: Adstream) -> None:
    found = json.loads(adstream("lineage", "--job", "routing", "--format", "json").out)
    assert [job["name"] for job in found["jobs"]] == ["routing"]
    assert adstream("lineage", "--stream", "routed-views", "--format", "mermaid").out.startswith("flowchart LR\n")


def test_the_page_goes_to_a_file(adstream: Adstream, tmp_path: Path) -> None:
    page = tmp_path / "lineage.html"
    said = adstream("lineage", "--format", "html", "-o", page)
    assert (said.code, said.out) == (ExitCode.OK, "")
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--job", "sesions"), "unknown job 'sesions': did you mean 'sessions'?"),
        (("--stream", "ad-click"), "unknown stream 'ad-click': did you mean 'ad-clicks'?"),
        (("--format", "svg"), "unknown format 'svg': choose one of html, json, mermaid, text"),
        (("--job", "sessions", "--stream", "ad-views"), "exclude each other: leave one of them out"),
        (("--config", "no.yaml"), "config file 'no.yaml': no such file"),
    ],
)
def test_a_wrong_request_is_one_line(adstream: Adstream, arguments: tuple[str, ...], message: str) -> None:
    said = adstream("lineage", *arguments)
    assert said.code == ExitCode.REFUSED
    assert message in said.error


def test_a_run_tells_its_lineage_to_a_file_when_openlineage_says_so(
    adstream: Adstream, ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openlineage.client", reason="openlineage-python is an extra")
    events, config = tmp_path / "events.jsonl", tmp_path / "openlineage.yml"
    config.write_text(f"transport: {{type: file, log_file_path: {events}, append: true}}\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(config))
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.OK
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [event["eventType"] for event in told] == ["START", "COMPLETE"]
    assert {each["name"] for each in told[0]["inputs"]} == {str(ads / "ad-views"), str(ads / "ad-clicks")}


def test_a_wrong_configuration_of_openlineage_is_a_warning(
    adstream: Adstream, ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openlineage.client", reason="openlineage-python is an extra")
    config = tmp_path / "openlineage.yml"
    config.write_text("transport: {type: pigeon}\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(config))
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.OK
    assert "lineage: START was not taken (" in said.err
    assert "pigeon" in said.err
