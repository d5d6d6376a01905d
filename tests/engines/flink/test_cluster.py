"""`flink run` to a standalone cluster: a job manager and a task manager of their own, on this machine."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from common.errors import AdstreamError, ExitCode
from common.runtime.metrics import Metrics
from common.runtime.spec import JobSpec
from tests.clusters.flink import flink_cluster
from tests.engines.flink.conftest import answer, end_on, run, write_steps
from tests.running import kill, started

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PATIENCE = 180


@pytest.fixture
def master(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster with four slots."""
    with flink_cluster(tmp_path / "cluster", slots=4) as cluster:
        yield cluster.address


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


def test_a_job_whose_client_was_killed_is_ended_by_the_next_run(spec: JobSpec, master: str) -> None:
    write_steps(Path(spec.input), range(9))
    submitted = replace(spec, drain=True, options={"master": master})
    followed = replace(submitted, drain=False, until_caught_up=False)
    client = started(followed)
    deadline = time.monotonic() + PATIENCE
    while Metrics.load(Path(spec.checkpoint)).steps < 2:
        assert client.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    kill(client)
    summary = run(submitted)
    reference = run(replace(end_on("local", submitted), options={}))
    assert summary.metrics == reference.metrics
    assert answer(submitted) == answer(end_on("local", submitted))
    assert "which an earlier run has left on the cluster" in (Path(spec.output) / "_run" / "engine.log").read_text()


def test_a_run_that_is_interrupted_leaves_no_job_on_the_cluster(spec: JobSpec, master: str) -> None:
    write_steps(Path(spec.input), range(9))
    client = started(replace(spec, until_caught_up=False, options={"master": master}))
    deadline = time.monotonic() + PATIENCE
    while Metrics.load(Path(spec.checkpoint)).steps < 2:
        assert client.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(client.pid, signal.SIGTERM)
    assert client.wait(PATIENCE) != ExitCode.OK
    deadline = time.monotonic() + PATIENCE
    while any(job["state"] == "RUNNING" for job in _asked(master, "/jobs/overview")["jobs"]):
        assert time.monotonic() < deadline, "the job runs on without its client"
        time.sleep(0.5)


@pytest.mark.parametrize(("backend", "shown"), [("hashmap", "HashMap"), ("rocksdb", "RocksDB")])
def test_the_settings_of_checkpoints_reach_the_job(spec: JobSpec, master: str, backend: str, shown: str) -> None:
    write_steps(Path(spec.input), range(60), events=20)
    block = {
        "interval": "200ms",
        "state_backend": backend,
        "retention": 3,
    }
    submitted = replace(spec, drain=True, options={"master": master}, settings={**spec.settings, "checkpoint": block})
    run(submitted)
    (job,) = _asked(master, "/jobs/overview")["jobs"]
    config = _asked(master, f"/jobs/{job['jid']}/checkpoints/config")
    assert (config["mode"], config["interval"], config["min_pause"]) == ("exactly_once", 200, 200)
    assert shown in config["state_backend"]
    taken = _asked(master, f"/jobs/{job['jid']}/checkpoints")
    assert taken["counts"]["completed"] > 0
    assert f"{spec.checkpoint}/flink/" in taken["latest"]["completed"]["external_path"]
    reference = replace(end_on("local", spec), drain=True)
    run(reference)
    assert answer(submitted) == answer(reference)


def _asked(master: str, path: str) -> dict[str, Any]:
    """What the job manager answers."""
    with closing(HTTPConnection(master, timeout=10)) as connection:
        connection.request("GET", path)
        content: dict[str, Any] = json.load(connection.getresponse())
        return content
