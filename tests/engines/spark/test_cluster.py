"""The same line against a real standalone cluster: a master and a worker from the package, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines.launch import launch
from common.engines.spark.submit import unavailable
from common.runtime.spec import JobSpec
from tests.clusters.spark import LOOPBACK, spark_cluster
from tests.engines.spark.conftest import answer, beside, run, write_random

pytestmark = [pytest.mark.spark, pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))]


@pytest.fixture
def master(tmp_path: Path) -> Iterator[str]:
    """The URL of a cluster with one worker, which has two cores."""
    with spark_cluster(tmp_path / "cluster", workers=1, cores=2) as cluster:
        yield cluster.url


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_a_cluster_gives_the_answer_of_the_local_engine(spec: JobSpec, master: str, mode: str) -> None:
    write_random(spec.input, range(3))
    options = {"master": master, "driver-memory": "512m", "executor-memory": "512m", "spark.driver.host": LOOPBACK}
    there = replace(spec, mode=mode, drain=True, options=options)
    here = replace(beside(there), options={})
    summary, reference = launch(there, lambda _: None), run(here)
    assert summary.metrics == reference.metrics
    assert answer(there) == answer(here)
    executors = list(Path(spec.output).parent.glob("cluster/work-*/app-*/*/adstream.zip"))
    assert executors, "the worker ran an executor, and the code came with the job"
