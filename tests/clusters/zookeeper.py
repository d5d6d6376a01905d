"""A ZooKeeper server of this machine, from the jars that come with Spark."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from common.services.process import free_port
from tests.clusters.daemon import LIGHT_JIT, PATIENCE_SECONDS, Daemon

SERVER = "org.apache.zookeeper.server.ZooKeeperServerMain"
HOST = "127.0.0.1"
TICK_MS = 500
"""A client that is silent for 20 of them is taken for dead, however long it has asked to be waited for."""


@contextmanager
def zookeeper(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """A server, while the context lasts; gives its address.

    Args:
        folder: Where its data and its log go.
        environment: Has `JAVA_HOME` and `SPARK_HOME`.
    """
    folder.mkdir(parents=True)
    port = free_port()
    java = [f"{environment['JAVA_HOME']}/bin/java", "-Xmx128m", LIGHT_JIT, "-Dzookeeper.admin.enableServer=false"]
    jars = ["-cp", f"{environment['SPARK_HOME']}/jars/*"]
    place = [str(port), str(folder / "data"), str(TICK_MS)]
    server = Daemon([*java, *jars, SERVER, *place], environment, folder / "zookeeper.log")
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"Mode: standalone" not in _status(port):
            assert time.monotonic() < deadline, f"ZooKeeper has not started in time: {server.said}"
            time.sleep(0.2)
        yield f"{HOST}:{port}"
    finally:
        server.stop()


def _status(port: int) -> bytes:
    """What the server says of itself; nothing while it is not there."""
    said = b""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"srvr")
        while part := connection.recv(4096):
            said += part
    return said
