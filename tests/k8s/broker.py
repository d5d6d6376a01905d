"""A broker and a schema registry in a namespace of their own, which pods reach by name.

Their image is Spark's, as it has a Java; their jars are those that `adstream services` runs, from this machine's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from common.setup.cache import cache_folder
from common.setup.jars import jars
from common.streams.kafka.address import Address
from tests.k8s.team import USER, Pod, Team

IMAGE = "localhost/adstream-spark:0.1.0"
JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
JARS = Path("/jars")
"""Where pods find the cache."""
LABEL = "adstream.io/streams"
"""What lets a team's network policies reach a namespace."""
KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093
advertised.listeners=PLAINTEXT://{address}:9092
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=/tmp/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
"""
"""One node; clients are sent on to the pod's own address, which pods and this machine reach."""


@dataclass(frozen=True)
class Streams:
    """A broker and its registry.

    Attributes:
        inside: Their address for pods, by name.
        outside: Their address for this machine.
    """

    inside: Address
    outside: Address


@contextmanager
def streams(namespace: str, ads: Team) -> Iterator[Streams]:
    """Starts them, and removes them.

    Args:
        namespace: Their namespace, made for them.
        ads: A team, by way of whose cluster they are started.
    """
    place = replace(ads, name=namespace)
    labels = {"name": namespace, "labels": {LABEL: "true"}}
    try:
        place.apply(yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": labels}))
        place.apply(yaml.safe_dump_all([*_served("kafka", 9092, _kafka()), *_served("registry", 8081, _registry())]))
        broker, registry = (place.wait(f"{name} is ready", _ready(place, name)) for name in ("kafka", "registry"))
        yield Streams(
            Address(f"kafka.{namespace}:9092", f"http://registry.{namespace}:8081/apis/ccompat/v7"),
            Address(f"{_ip(broker)}:9092", f"http://{_ip(registry)}:8081/apis/ccompat/v7"),
        )
    finally:
        place.said("delete", "namespace", namespace, "--wait=true", "--timeout=120s")


def _ready(place: Team, name: str) -> Callable[[], Pod | None]:
    return lambda: next((pod for pod in place.running(name) if pod.ready), None)


def _ip(pod: Pod) -> str:
    return str(pod.content["status"]["podIP"])


def _kafka() -> str:
    classpath = _classpath("kafka")
    return "\n".join(
        [
            f"cat > /tmp/kafka.properties <<END\n{KAFKA.format(address='$ADDRESS')}END",
            f"{JAVA} -Xmx256m -cp {classpath} kafka.tools.StorageTool format -t kafka-in-a-pod-00000 -c /tmp/kafka.properties",
            f"exec {JAVA} -Xmx384m -XX:+UseSerialGC -cp {classpath} kafka.Kafka /tmp/kafka.properties",
        ]
    )


def _registry() -> str:
    settings = "-Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=8081"
    return (
        f"exec {JAVA} -Xmx256m -XX:+UseSerialGC {settings} -cp {_classpath('registry')} io.quarkus.runner.GeneratedMain"
    )


def _classpath(group: str) -> str:
    return ":".join(str(JARS / jar.relative_to(cache_folder() / "jars")) for jar in jars(group))


def _served(name: str, port: int, script: str) -> Sequence[Mapping[str, Any]]:
    """A pod that runs a script, and the service that finds it."""
    labels = {"app.kubernetes.io/component": name}
    container = {
        "name": name,
        "image": IMAGE,
        "command": ["/bin/sh", "-ec", script],
        "env": [{"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 2},
        "volumeMounts": [{"name": "jars", "mountPath": str(JARS), "readOnly": True}],
    }
    spec = {
        "securityContext": {"runAsUser": USER, "runAsGroup": USER},
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
        "volumes": [{"name": "jars", "hostPath": {"path": str(cache_folder() / "jars")}}],
    }
    return (
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    )
