from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import AdstreamError, ExitCode
from common.services.process import RECORD, Launch, answers, free_port, kept_port, load, start, stop

SERVE = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), None).serve_forever()"


def server(port: int) -> Launch:
    return Launch([sys.executable, "-c", SERVE, str(port)], {"http": f"127.0.0.1:{port}"}, lambda: answers(port))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop(tmp_path, 5)


def test_a_service_is_started_found_again_and_stopped(folder: Path) -> None:
    record = start("web", folder, server(free_port()), 20)
    assert load(folder) == record and record.running
    assert stop(folder, 5)
    assert not record.running
    assert not stop(folder, 5)


def test_what_is_to_be_settled_is_done_once_it_answers(folder: Path) -> None:
    port, settled = free_port(), []
    launch = server(port)
    start("web", folder, Launch(launch.command, {}, launch.ready, lambda: settled.append(answers(port))), 20)
    assert settled == [True]


def test_one_that_does_not_end_when_asked_is_made_to(folder: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    log = folder / "log.txt"
    launch = Launch([sys.executable, "-c", stubborn], {}, lambda: "up" in log.read_text())
    record = start("web", folder, launch, 20)
    assert stop(folder, 0.3)
    assert not record.running


def test_one_that_ends_at_once_is_said_with_its_last_words(folder: Path) -> None:
    launch = Launch([sys.executable, "-c", "raise SystemExit('the port is taken')"], {}, lambda: False)
    with pytest.raises(AdstreamError) as failed:
        start("web", folder, launch, 20)
    assert failed.value.problem == "service 'web' ended at start with code 1; it said: the port is taken"
    assert failed.value.code == ExitCode.UNAVAILABLE


def test_one_that_never_answers_is_stopped(folder: Path) -> None:
    launch = Launch([sys.executable, "-c", "import time; time.sleep(60)"], {}, lambda: False)
    with pytest.raises(AdstreamError, match="service 'web' did not answer within 1 s"):
        start("web", folder, launch, 1)
    record = load(folder)
    assert record is not None and not record.running


def test_another_process_with_the_pid_of_old_is_not_taken_for_the_service(folder: Path) -> None:
    record = {"service": "web", "pid": os.getpid(), "born": 1, "endpoints": {}}
    (folder / RECORD).write_text(json.dumps(record))
    found = load(folder)
    assert found is not None and not found.running
    assert not stop(folder, 1)


def test_one_that_had_ended_before_anybody_looked_does_not_run(folder: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    record = {"service": "web", "pid": ended.pid, "born": 0, "endpoints": {}}
    (folder / RECORD).write_text(json.dumps(record))
    assert not stop(folder, 1)


def test_one_that_was_killed_does_not_run(folder: Path) -> None:
    record = start("web", folder, server(free_port()), 20)
    os.kill(record.pid, signal.SIGKILL)
    os.waitpid(record.pid, 0)
    assert not record.running


def test_a_port_is_kept(folder: Path) -> None:
    assert kept_port(folder, "http") == kept_port(folder, "http") != kept_port(folder, "sql")
