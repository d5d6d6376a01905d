"""The same line against a real standalone cluster: a master and a worker from the package, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines.launch import launch
from common.engines.spark.submit import environment, unavailable
from common.runtime.spec import JobSpec
from tests.engines.spark.conftest import answer, beside, run, write_random

pytestmark = [pytest.mark.spark, pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))]

PATIENCE = 60
LOOPBACK = "127.0.0.1"


class Daemon:
    """One of Spark's own processes, with a log that says when it is ready."""

    def __init__(self, folder: Path, variables: dict[str, str], name: str, *arguments: str) -> None:
        self._log = folder / f"{name}.log"
        java = f"org.apache.spark.deploy.{name}"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [f"{variables['SPARK_HOME']}/bin/spark-class", java, *arguments],
                env={**os.environ, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self._log.read_text():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


@pytest.fixture
def master(spec: JobSpec, tmp_path: Path) -> Iterator[str]:
    """The URL of a cluster with one worker, which has two cores."""
    variables = {**environment(spec), "SPARK_WORKER_DIR": str(tmp_path / "work"), "SPARK_DAEMON_MEMORY": "256m"}
    del variables["PYTHONPATH"]  # the code has to come with the job
    port = _free_port()
    url = f"spark://{LOOPBACK}:{port}"
    here = ("--host", LOOPBACK, "--webui-port", "0")
    leader = Daemon(tmp_path, variables, "master.Master", *here, "--port", str(port))
    try:
        leader.wait_for("I have been elected leader")
        worker = Daemon(tmp_path, variables, "worker.Worker", *here, "--cores", "2", "--memory", "1g", url)
        try:
            worker.wait_for("Successfully registered with master")
            yield url
        finally:
            worker.stop()
    finally:
        leader.stop()


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_a_cluster_gives_the_answer_of_the_local_engine(spec: JobSpec, master: str, mode: str) -> None:
    write_random(spec.input, range(3))
    options = {"master": master, "driver-memory": "512m", "executor-memory": "512m", "spark.driver.host": LOOPBACK}
    there = replace(spec, mode=mode, drain=True, options=options)
    here = replace(beside(there), options={})
    summary, reference = launch(there, lambda _: None), run(here)
    assert summary.metrics == reference.metrics
    assert answer(there) == answer(here)
    executors = list(Path(spec.output).parent.glob("work/app-*/*/adstream.zip"))
    assert executors, "the worker ran an executor, and the code came with the job"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]
