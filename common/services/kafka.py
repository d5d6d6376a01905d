"""Apache Kafka, one node in KRaft mode, open to everybody on the loopback interface."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.errors import UnavailableError
from common.services.jvm import java
from common.services.process import Launch, answers, kept_port

NEEDS: tuple[str, ...] = ()
PATIENCE = 60.0
LISTENER = "PLAINTEXT"

NODE = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listener}://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listener}://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name={listener}
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

_OPEN = """\
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
"""


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder, formatting its storage the first time.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.
    """
    return node(folder, LISTENER, _OPEN, ())


def node(folder: Path, listener: str, security: str, format_options: Sequence[str]) -> Launch:
    """One node that is broker and controller at once; its storage is formatted the first time.

    Args:
        folder: The service's folder.
        listener: The name of the listener for clients.
        security: Who may connect, and do what: lines of `server.properties`.
        format_options: What `StorageTool format` is told besides, such as the first logins.

    Raises:
        AdstreamError: The storage can't be formatted (`UNAVAILABLE`).
    """
    broker, controller, data = kept_port(folder, "broker"), kept_port(folder, "controller"), folder / "data"
    config = folder / "server.properties"
    common = NODE.format(listener=listener, broker=broker, controller=controller, data=data)
    config.write_text(common + security)
    config.chmod(0o600)  # it may hold passwords
    if not (data / "meta.properties").exists():
        _format(config, folder, format_options)
    return Launch(
        command=java("kafka", 512, (), "kafka.Kafka", str(config)),
        endpoints={"bootstrap": f"127.0.0.1:{broker}"},
        ready=lambda: answers(broker),
    )


def _format(config: Path, folder: Path, options: Sequence[str]) -> None:
    # A cluster id that begins with a dash is taken for an option.
    cluster = "k" + secrets.token_urlsafe(16)[:21]
    arguments = ("format", "-t", cluster, "-c", str(config), *options)
    command = java("kafka", 256, (), "kafka.tools.StorageTool", *arguments)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        raise UnavailableError(f"service '{folder.name}': its storage can't be formatted ({last})", f"see {folder}")
