"""A standalone Spark cluster of this machine: a master that keeps what it knows in files, and workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from common.engines.spark.submit import environment
from common.runtime.spec import JobSpec
from common.services.process import free_port
from tests.clusters.daemon import Daemon

LOOPBACK = "127.0.0.1"
EXECUTOR = "CoarseGrainedExecutorBackend"


class SparkCluster:
    """A master and workers, each of which can be killed and started again.

    Args:
        folder: Where logs, recovery state and the workers' folders are.
        host: The address of the master and of those workers that have no other.
        properties: Spark's properties for the daemons.
    """

    def __init__(self, folder: Path, host: str = LOOPBACK, properties: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._host, self._port = folder, host, free_port()
        known = {
            "spark.deploy.recoveryMode": "FILESYSTEM",
            "spark.deploy.recoveryDirectory": str(folder / "recovery"),
            "spark.worker.timeout": "20",
            **(properties or {}),
        }
        (folder / "recovery").mkdir(exist_ok=True)
        self._environment = {
            **environment(JobSpec("sessions", "spark", "batch", "", "", "")),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": " ".join(f"-D{name}={value}" for name, value in known.items()),
        }
        del self._environment["PYTHONPATH"]  # the code has to come with the job
        self._starts = 0
        self._master: Daemon | None = None
        self._workers: dict[str, Daemon] = {}

    @property
    def url(self) -> str:
        return f"spark://{self._host}:{self._port}"

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers that run."""
        return tuple(self._workers)

    def start_master(self) -> None:
        """Starts the master, and waits until it leads."""
        self._master = self._daemon("master.Master", *self._place(self._host), "--port", str(self._port))
        self._master.wait_for("I have been elected leader")

    def kill_master(self) -> None:
        """Kills the master."""
        assert self._master is not None
        self._master.kill()

    def start_worker(
        self, name: str, cores: int = 1, memory: str = "1g", host: str = "", prefix: tuple[str, ...] = ()
    ) -> None:
        """Starts a worker, and waits until the master knows it."""
        size = ("--cores", str(cores), "--memory", memory, "--work-dir", str(self._folder / f"work-{name}"))
        worker = self._daemon("worker.Worker", *self._place(host or self._host), *size, self.url, prefix=prefix)
        self._workers[name] = worker
        worker.wait_for("Successfully registered with master")

    def kill_worker(self, name: str) -> None:
        """Kills a worker; its executors end by themselves once they notice."""
        self._workers.pop(name).kill()

    def executors(self) -> list[psutil.Process]:
        """The executors that run."""
        found = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                if any(part.endswith(EXECUTOR) for part in process.cmdline()):
                    found.append(process)
        return found

    def processes(self) -> list[psutil.Process]:
        """All that runs below the workers."""
        return [process for worker in self._workers.values() for process in worker.tree()]

    def stop(self) -> None:
        """Ends everything."""
        for daemon in (*self._workers.values(), *([self._master] if self._master else [])):
            daemon.stop()

    def _place(self, host: str) -> tuple[str, ...]:
        return ("--host", host, "--webui-port", "0")

    def _daemon(self, name: str, *arguments: str, prefix: tuple[str, ...] = ()) -> Daemon:
        self._starts += 1
        spark = f"{self._environment['SPARK_HOME']}/bin/spark-class"
        log = self._folder / f"{self._starts:02d}-{name}.log"
        return Daemon([*prefix, spark, f"org.apache.spark.deploy.{name}", *arguments], self._environment, log)


@contextmanager
def spark_cluster(folder: Path, workers: int, cores: int = 1, memory: str = "1g") -> Iterator[SparkCluster]:
    """A cluster on loopback, while the context lasts."""
    cluster = SparkCluster(folder)
    try:
        cluster.start_master()
        for number in range(workers):
            cluster.start_worker(str(number), cores, memory)
        yield cluster
    finally:
        cluster.stop()
