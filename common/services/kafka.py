"""Apache Kafka, one node in KRaft mode."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from common.errors import AdstreamError, ExitCode
from common.services.process import Launch, answers, kept_port
from common.setup.jars import jars
from common.setup.java import java_home

NEEDS: tuple[str, ...] = ()
PATIENCE = 60.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
# One node holds the only replica of everything.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder, formatting its storage the first time.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.
    """
    classpath = ":".join(map(str, jars("kafka")))
    java = str(java_home() / "bin" / "java")
    broker, controller = kept_port(folder, "broker"), kept_port(folder, "controller")
    config = folder / "server.properties"
    if not config.exists():
        config.write_text(_PROPERTIES.format(broker=broker, controller=controller, data=folder / "data"))
        _format(java, classpath, config, folder)
    heap = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return Launch(
        command=[java, *heap, "-cp", classpath, "kafka.Kafka", str(config)],
        endpoints={"bootstrap": f"127.0.0.1:{broker}"},
        ready=lambda: answers(broker),
    )


def _format(java: str, classpath: str, config: Path, folder: Path) -> None:
    # A cluster id that begins with a dash is taken for an option.
    cluster = "k" + secrets.token_urlsafe(16)[:21]
    command = [java, "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        config.unlink()
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise AdstreamError(f"service 'kafka': its storage can't be formatted ({last})", "", ExitCode.UNAVAILABLE)
