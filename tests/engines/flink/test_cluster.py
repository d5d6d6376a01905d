"""`flink run` to a standalone cluster: a job manager and a task manager of their own, on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from common.engines.flink.submit import environment, flink_home
from common.errors import AdstreamError
from common.runtime.spec import JobSpec
from tests.engines.flink.conftest import answer, end_on, run, write_steps

pytestmark = [pytest.mark.flink, pytest.mark.slow]

CONF = """
jobmanager: {{bind-host: localhost, rpc: {{address: localhost, port: {rpc}}}, memory: {{process: {{size: 1100m}}}}}}
taskmanager: {{bind-host: localhost, host: localhost, numberOfTaskSlots: 2, memory: {{process: {{size: 1600m}}}}}}
rest: {{address: localhost, bind-address: localhost, port: {rest}}}
env: {{java: {{opts: {{all: "{opens}"}}}}}}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def master(tmp_path: Path, spec: JobSpec) -> Iterator[str]:
    """A cluster with two slots; gives its address."""
    conf, rest = tmp_path / "conf", _free_port()
    shutil.copytree(flink_home() / "conf", conf)
    variables = environment(spec)
    opens = variables.pop("FLINK_ENV_JAVA_OPTS").split(maxsplit=1)[1]
    (conf / "config.yaml").write_text(CONF.format(rpc=_free_port(), rest=rest, opens=opens))
    variables |= {name: str(tmp_path / name) for name in ("FLINK_LOG_DIR", "FLINK_PID_DIR")}
    Path(variables["FLINK_LOG_DIR"]).mkdir()
    servers = [
        subprocess.Popen(
            [flink_home() / "bin" / script, "start-foreground"],
            env={**os.environ, **variables, "FLINK_CONF_DIR": str(conf)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for script in ("jobmanager.sh", "taskmanager.sh")
    ]
    try:
        _await_slots(rest, time.monotonic() + 60)
        yield f"localhost:{rest}"
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _await_slots(port: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        with suppress(OSError), closing(HTTPConnection("localhost", port, timeout=5)) as connection:
            connection.request("GET", "/overview")
            if json.load(connection.getresponse())["slots-available"] == 2:
                return
        time.sleep(0.3)
    pytest.fail("the cluster has not started in time")


def test_a_cluster_runs_job_after_job(spec: JobSpec, master: str) -> None:
    write_steps(Path(spec.input), range(6))
    for changes in ({"mode": "batch"}, {"mode": "stream", "drain": True}):
        submitted = replace(end_on("flink", spec), **changes, options={"master": master})
        reference = replace(end_on("local", spec), **changes)
        summary = run(submitted)
        assert summary.balanced and summary.metrics["records_in"] == run(reference).metrics["records_in"]
        assert answer(submitted) == answer(reference)
    Path(spec.input, "ad-views", "00009.parquet").write_bytes(b"no such thing")
    with pytest.raises(AdstreamError, match=r"^'[^']+00009\.parquet' can't be read as Parquet [^\n]+$"):
        run(replace(spec, options={"master": master}))
