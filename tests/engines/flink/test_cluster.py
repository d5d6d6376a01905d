"""`flink run` to a standalone cluster: a job manager and a task manager of their own, on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import AdstreamError
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
