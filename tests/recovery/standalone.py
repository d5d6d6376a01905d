"""Standalone clusters as venues: their daemons can be killed one by one, and a cable can be pulled."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.engines.registry import available
from common.engines.spark.submit import environment
from common.runtime.spec import JobSpec
from tests.clusters import network
from tests.clusters.flink import FlinkCluster, flink_cluster
from tests.clusters.network import Network
from tests.clusters.spark import LOOPBACK, SparkCluster, spark_cluster
from tests.clusters.zookeeper import zookeeper
from tests.recovery.faults import ANYWHERE, Cut, Fault, Killed, PythonWorker, Restarted
from tests.recovery.job import Job
from tests.recovery.place import Place, flink_options

SMALL = {"driver-memory": "512m", "executor-memory": "512m"}
IMPATIENT = {
    "spark.network.timeout": "10s",
    "spark.network.timeoutInterval": "2s",
    "spark.executor.heartbeatInterval": "2s",
    "spark.storage.blockManagerHeartbeatTimeoutMs": "10000",
}
"""Spark waits two minutes for an executor that is silent; a test has not so much time."""
SLOTS = 6


@dataclass(frozen=True)
class SparkStandalone:
    """A Spark master, which keeps what it knows in files, and two workers."""

    name: str = "spark-standalone"
    engine: str = "spark"
    steps: int = 60

    def faults(self) -> tuple[str, ...]:
        return (*ANYWHERE, "python-worker", "executor", "worker", "master")

    def unavailable(self) -> str | None:
        return available(self.engine)

    @contextmanager
    def opened(self, folder: Path, rng: random.Random) -> Iterator[Place]:
        with spark_cluster(folder / "cluster", workers=2, cores=2) as cluster:
            options = {**SMALL, "master": cluster.url, "spark.driver.host": LOOPBACK}
            yield Place({**ANYWHERE, **_of_spark(cluster)}, options)


@dataclass(frozen=True)
class SparkStandby:
    """Two Spark masters, which keep what they know in ZooKeeper, and two workers: one that leads, one that takes over."""

    name: str = "spark-standby"
    engine: str = "spark"
    steps: int = 96  # ZooKeeper takes a leader for dead after ten seconds

    def faults(self) -> tuple[str, ...]:
        return ("leader",)

    def unavailable(self) -> str | None:
        return available(self.engine)

    @contextmanager
    def opened(self, folder: Path, rng: random.Random) -> Iterator[Place]:
        variables = environment(JobSpec("sessions", "spark", "batch", "", "", ""))
        with zookeeper(folder / "zookeeper", variables) as address:
            kept = {"spark.deploy.recoveryMode": "ZOOKEEPER", "spark.deploy.zookeeper.url": address}
            cluster = SparkCluster(folder / "cluster", masters=2, properties=kept)
            try:
                for _ in range(2):
                    cluster.start_master()
                for name in ("0", "1"):
                    cluster.start_worker(name, cores=2)
                options = {**SMALL, "master": cluster.url, "spark.driver.host": LOOPBACK}
                yield Place({**ANYWHERE, "leader": TakenOver(cluster)}, options)
            finally:
                cluster.stop()


@dataclass(frozen=True)
class TakenOver:
    """The master that leads is killed; the other one leads then, and the dead one comes back as its standby.

    Attributes:
        cluster: The cluster.
    """

    cluster: SparkCluster

    def strike(self, job: Job, rng: random.Random) -> None:
        self.cluster.kill_master()
        self.cluster.leader()
        self.cluster.start_master()


@dataclass(frozen=True)
class SparkTwoHosts:
    """As `SparkStandalone`, but the second worker is on another host, behind a cable."""

    name: str = "spark-two-hosts"
    engine: str = "spark"
    steps: int = 60

    def faults(self) -> tuple[str, ...]:
        return ("network-cut", "machine")

    def unavailable(self) -> str | None:
        return available(self.engine) or network.unavailable()

    @contextmanager
    def opened(self, folder: Path, rng: random.Random) -> Iterator[Place]:
        with Network(os.getpid() % 256).up() as hosts:
            cluster = SparkCluster(folder / "cluster", hosts.here)
            try:
                cluster.start_master()
                cluster.start_worker("here", cores=1)
                cluster.start_worker("there", cores=1, host=hosts.there, prefix=hosts.prefix)
                options = {**SMALL, **IMPATIENT, "master": cluster.url, "spark.driver.host": hosts.here}
                yield Place({**ANYWHERE, "network-cut": Cut(hosts.connected)}, options)
            finally:
                cluster.stop()


@dataclass(frozen=True)
class FlinkStandalone:
    """A Flink job manager and a task manager; without Kubernetes or ZooKeeper nothing keeps the job manager's jobs."""

    name: str = "flink-standalone"
    engine: str = "flink"
    steps: int = 360

    def faults(self) -> tuple[str, ...]:
        return (*ANYWHERE, "python-worker", "task-manager", "job-manager")

    def unavailable(self) -> str | None:
        return available(self.engine)

    @contextmanager
    def opened(self, folder: Path, rng: random.Random) -> Iterator[Place]:
        with flink_cluster(folder / "cluster", SLOTS) as cluster:
            options = {**flink_options(rng), "master": cluster.address, "python.execution-mode": "process"}
            yield Place({**ANYWHERE, **_of_flink(cluster)}, options)


def _of_spark(cluster: SparkCluster) -> dict[str, Fault]:
    workers: list[str] = []

    def kill_worker(rng: random.Random) -> None:
        workers.append(rng.choice(cluster.workers))
        cluster.kill_worker(workers[-1])

    return {
        "python-worker": PythonWorker(lambda _: cluster.processes()),
        "executor": Killed(cluster.executors, "an executor"),
        "worker": Restarted(kill_worker, lambda: cluster.start_worker(workers.pop(), cores=2)),
        "master": Restarted(lambda _: cluster.kill_master(), cluster.start_master),
    }


def _of_flink(cluster: FlinkCluster) -> dict[str, Fault]:
    def restarted(script: str) -> Fault:
        return Restarted(lambda _: cluster.kill(script), lambda: cluster.start(script))

    return {
        "python-worker": PythonWorker(lambda _: cluster.processes()),
        "task-manager": restarted("taskmanager"),
        "job-manager": restarted("jobmanager"),
    }
