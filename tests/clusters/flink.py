"""A standalone Flink cluster of this machine: a job manager and task managers, without a store for high availability."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from common.engines.flink.submit import environment, flink_home
from common.runtime.spec import JobSpec
from common.services.process import free_port
from tests.clusters.daemon import LIGHT_JIT, PATIENCE_SECONDS, Daemon

CONF = """
jobmanager: {{bind-host: localhost, rpc: {{address: localhost, port: {rpc}}}, memory: {{process: {{size: 1100m}}}}}}
taskmanager: {{bind-host: localhost, host: localhost, numberOfTaskSlots: {slots}, memory: {{process: {{size: 1600m}}}}}}
rest: {{address: localhost, bind-address: localhost, port: {rest}}}
heartbeat: {{interval: 2000, timeout: 10000}}
env: {{java: {{opts: {{all: "{java}"}}}}}}
"""


class FlinkCluster:
    """A job manager and task managers, each of which can be killed and started again.

    Args:
        folder: Where configuration and logs are.
        slots: How many a task manager has.
    """

    def __init__(self, folder: Path, slots: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._rest, self._slots = folder, free_port(), slots
        variables = environment(JobSpec("sessions", "flink", "batch", "", str(folder), ""))
        opens = variables.pop("FLINK_ENV_JAVA_OPTS").split(maxsplit=1)[1]
        java = f"{LIGHT_JIT} {opens}"
        conf = folder / "conf"
        shutil.copytree(flink_home() / "conf", conf)
        (conf / "config.yaml").write_text(CONF.format(rpc=free_port(), rest=self._rest, java=java, slots=slots))
        folders = {name: str(folder / name) for name in ("FLINK_LOG_DIR", "FLINK_PID_DIR")}
        Path(folders["FLINK_LOG_DIR"]).mkdir()
        self._environment = {**variables, **folders, "FLINK_CONF_DIR": str(conf)}
        self._daemons: dict[str, Daemon] = {}
        self._orphans: list[psutil.Process] = []
        self._starts = 0

    @property
    def address(self) -> str:
        return f"localhost:{self._rest}"

    def start(self, script: str) -> None:
        """Starts a `jobmanager` or a `taskmanager`, and waits until there are slots."""
        self._starts += 1
        log = self._folder / f"{self._starts:02d}-{script}.log"
        command = [str(flink_home() / "bin" / f"{script}.sh"), "start-foreground"]
        self._daemons[script] = Daemon(command, self._environment, log)

    def kill(self, script: str) -> None:
        """Kills one of them; its Python processes, some of which never notice, end with the cluster."""
        daemon = self._daemons.pop(script)
        self._orphans += daemon.tree()[1:]
        daemon.kill()

    def processes(self) -> list[psutil.Process]:
        """All that runs below the task managers."""
        return [
            process for script, daemon in self._daemons.items() if script == "taskmanager" for process in daemon.tree()
        ]

    def await_slots(self) -> None:
        """Waits until all slots are free."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._free() < self._slots:
            assert time.monotonic() < deadline, "the cluster has not started in time"
            time.sleep(0.3)

    def stop(self) -> None:
        """Ends everything."""
        for daemon in self._daemons.values():
            daemon.stop()
        for process in self._orphans:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _free(self) -> int:
        with (
            suppress(OSError, HTTPException, ValueError),
            closing(HTTPConnection("localhost", self._rest, timeout=5)) as connection,
        ):
            connection.request("GET", "/overview")
            answer = json.load(connection.getresponse())
            return int(answer.get("slots-available", 0))  # while it starts, it answers with what it lacks
        return 0


@contextmanager
def flink_cluster(folder: Path, slots: int) -> Iterator[FlinkCluster]:
    """A cluster with one task manager, while the context lasts."""
    cluster = FlinkCluster(folder, slots)
    try:
        cluster.start("jobmanager")
        cluster.start("taskmanager")
        cluster.await_slots()
        yield cluster
    finally:
        cluster.stop()
