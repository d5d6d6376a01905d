"""Runs tell their lineage to a receiver over HTTP, whatever engine they are on; one that fails harms no run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from common.engines.registry import available
from common.errors import ExitCode
from tests.running import each_engine

pytestmark = pytest.mark.integration
pytest.importorskip("openlineage.client", reason="openlineage-python is an extra")

TIMEOUT_SECONDS = 300


@dataclass
class Receiver:
    """What was posted to an address of OpenLineage's interface."""

    url: str
    status: int = 201
    events: list[dict[str, Any]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.status < 400:
                found.paths.add(self.path)
                found.events.append(json.loads(body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def run(url: str, engine: str, streams: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """A run of sessions, from a folder that has no configuration of OpenLineage."""
    command = [sys.executable, "-m", "common.cli.main", "run", "sessions", "--engine", engine]
    command += ["--input", str(streams), "--output", str(output), *more]
    return subprocess.run(
        command,
        cwd=output.parent,
        env={**os.environ, "OPENLINEAGE_URL": url, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("engine", each_engine())
def test_a_run_tells_its_start_and_its_end(engine: str, receiver: Receiver, sample: Path, tmp_path: Path) -> None:
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    done = run(receiver.url, engine, sample, tmp_path / "out")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "lineage" not in done.stderr
    assert receiver.paths == {"/api/v1/lineage"}
    assert [event["eventType"] for event in receiver.events] == ["START", "COMPLETE"]
    start, complete = receiver.events
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert start["run"]["facets"]["processing_engine"]["name"] == f"adstream on {engine}"
    assert {each["name"] for each in start["inputs"]} == {str(sample / name) for name in ("ad-views", "ad-clicks")}
    written = {str(tmp_path / "out" / name) for name in ("ad-sessions", "late-events", "dead-letters")}
    assert {each["name"] for each in complete["outputs"]} == written
    assert all({"schema", "ownership", "tags"} <= each["facets"].keys() for each in complete["outputs"])


def test_a_run_that_fails_tells_why(receiver: Receiver, sample: Path, tmp_path: Path) -> None:
    """A file of kept state that is damaged is found by the engine, once it has started."""
    streaming = ("--mode", "stream", "--until-caught-up")
    assert run(receiver.url, "local", sample, tmp_path / "out", *streaming).returncode == ExitCode.OK
    state = next((tmp_path / "out" / "_checkpoint" / "state").rglob("*.parquet"))
    state.write_bytes(b"no state")
    done = run(receiver.url, "local", sample, tmp_path / "out", *streaming, "--drain")
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert "the state can't be read" in done.stderr
    assert [event["eventType"] for event in receiver.events] == ["START", "COMPLETE", "START", "FAIL"]
    assert receiver.events[0]["job"]["facets"]["jobType"]["processingType"] == "STREAMING"
    assert receiver.events[-1]["run"]["facets"]["errorMessage"]["message"] in done.stderr


def test_a_receiver_that_refuses_is_a_warning_and_no_failure(receiver: Receiver, sample: Path, tmp_path: Path) -> None:
    receiver.status = 403
    done = run(receiver.url, "local", sample, tmp_path / "out")
    assert done.returncode == ExitCode.OK, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "lineage" in line]
    assert warning.startswith("adstream: lineage: START was not taken (")
    assert "403" in warning
    assert warning.endswith("; the job goes on without it")


def test_a_receiver_that_is_away_is_a_warning_and_no_failure(sample: Path, tmp_path: Path) -> None:
    done = run("http://127.0.0.1:9", "local", sample, tmp_path / "out")
    assert done.returncode == ExitCode.OK, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("adstream: lineage: ")]
    assert warnings
    assert len(done.stderr.splitlines()) - len(warnings) <= 5, done.stderr
