"""A standalone Spark cluster of this machine: a master that keeps what it knows in files, and workers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from common.engines.spark.submit import environment
from common.runtime.spec import JobSpec
from common.services.process import free_port
from tests.clusters.daemon import LIGHT_JIT, PATIENCE_SECONDS, Daemon

LOOPBACK = "127.0.0.1"
LEADS = "I have been elected leader"
EXECUTOR = "CoarseGrainedExecutorBackend"


class SparkCluster:
    """A master and workers, each of which can be killed and started again.

    Args:
        folder: Where logs, recovery state and the workers' folders are.
        host: The address of the master and of those workers that have no other.
        masters: How many masters there are, of which one leads.
        properties: Spark's properties for the daemons.
    """

    def __init__(
        self, folder: Path, host: str = LOOPBACK, masters: int = 1, properties: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._host, self._ports = folder, host, tuple(free_port() for _ in range(masters))
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
            "SPARK_DAEMON_JAVA_OPTS": " ".join([LIGHT_JIT, *(f"-D{name}={value}" for name, value in known.items())]),
        }
        del self._environment["PYTHONPATH"]  # the code has to come with the job
        self._starts = 0
        self._masters: dict[int, Daemon] = {}
        self._workers: dict[str, Daemon] = {}

    @property
    def url(self) -> str:
        return "spark://" + ",".join(f"{self._host}:{port}" for port in self._ports)

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers that run."""
        return tuple(self._workers)

    def start_master(self) -> None:
        """Starts a master that does not run, and waits until one leads."""
        port = next(port for port in self._ports if port not in self._masters)
        self._masters[port] = self._daemon("master.Master", *self._place(self._host), "--port", str(port))
        self.leader()

    def leader(self) -> int:
        """The port of the master that leads; waits until there is one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            for port, master in self._masters.items():
                if LEADS in master.said:
                    return port
            said = [master.said[-2000:] for master in self._masters.values()]
            assert time.monotonic() < deadline, f"no master leads: {said}"
            time.sleep(0.1)

    def kill_master(self) -> None:
        """Kills the master that leads."""
        self._masters.pop(self.leader()).kill()

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
        for daemon in (*self._workers.values(), *self._masters.values()):
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
