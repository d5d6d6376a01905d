"""Executors come with the work and go without it, on a standalone cluster of three small workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.engines.spark.submit import unavailable
from common.runtime.metrics import Metrics
from common.runtime.spec import JobSpec
from tests.clusters.spark import LOOPBACK, SparkCluster, spark_cluster
from tests.engines.spark.conftest import STREAMS, answer, beside
from tests.running import started

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

PATIENCE = 120
BURST = 6
"""Files of each stream that arrive at once."""
OPTIONS = {
    "driver-memory": "512m",
    "executor-memory": "512m",
    "spark.driver.host": LOOPBACK,
    "executors": "1..3",
    "executor-idle": "8s",
}


def test_executors_come_and_go(spec: JobSpec, tmp_path: Path) -> None:
    generate(
        GeneratorSettings(events=300_000, users=6_000, files=2 * BURST, malformed=0.0), tmp_path / "made", "parquet"
    )
    for stream in STREAMS:
        Path(spec.input, stream).mkdir(parents=True)
    settings = {**spec.settings, "buckets": 12, "parallelism": 6}
    with spark_cluster(tmp_path / "cluster", workers=3) as cluster:
        options = {**OPTIONS, "master": cluster.url}
        followed = replace(spec, until_caught_up=False, settings=settings, options=options)
        seen = _followed(followed, cluster, tmp_path / "made")
    summary = launch(replace(spec, settings=settings, drain=True), lambda _: None)
    reference = beside(replace(spec, settings=settings, drain=True))
    launch(reference, lambda _: None)
    print("\nexecutors, second by second:", " ".join(map(str, seen)))  # noqa: T201 what there is to see
    assert summary.steps == 2 * BURST + 1
    assert answer(spec) == answer(reference)


def _followed(spec: JobSpec, cluster: SparkCluster, made: Path) -> list[int]:
    """Two bursts with a pause between them; gives the number of executors, a second after another."""
    seen: list[int] = []

    def until(reached: Callable[[int], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not seen or not reached(seen[-1]):
            assert time.monotonic() < deadline and job.poll() is None, f"never {what}: {seen}"
            seen.append(len(cluster.executors()))
            time.sleep(1)

    def taken(steps: int) -> Callable[[int], bool]:
        return lambda _: Metrics.load(Path(spec.checkpoint)).steps >= steps

    job = started(spec, log=Path(spec.output).with_name("followed.log"))
    try:
        until(lambda count: count == 1, "one executor")
        for burst in range(2):
            _arrive(made, Path(spec.input))
            until(lambda count: count > 1, "more than one executor")
            until(taken((burst + 1) * BURST), "caught up")
            until(lambda count: count == 1, "one executor again")
    finally:
        os.killpg(job.pid, signal.SIGTERM)
        job.wait(PATIENCE)
    return seen


def _arrive(made: Path, target: Path) -> None:
    """Moves the next files of each stream to where the job looks."""
    for stream in STREAMS:
        for path in sorted((made / stream).iterdir())[:BURST]:
            path.rename(target / stream / path.name)
