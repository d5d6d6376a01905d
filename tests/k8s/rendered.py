"""Every overlay, rendered once, and the pods that its objects make."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from common.kubernetes.kubectl import Kubectl
from common.kubernetes.objects import Object, template_of

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "k8s" / "overlays"
NAMES = sorted(str(path.parent.relative_to(OVERLAYS)) for path in OVERLAYS.glob("*/*/kustomization.yaml"))
ABOUT_JOBS = [name for name in NAMES if name.partition("/")[2] not in {"team", "volume"}]
BUILT_IN = {"v1", "apps/v1", "batch/v1", "policy/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"} | {
    "scheduling.k8s.io/v1"
}
"""Groups of Kubernetes itself; the others are of operators."""


@cache
def rendered(name: str) -> tuple[Object, ...]:
    """The objects of an overlay."""
    return Kubectl.found().kustomize(OVERLAYS / name)


def pods(name: str) -> Iterator[tuple[str, Object]]:
    """The pods that an overlay's objects make, each with a name for messages."""
    for item in rendered(name):
        template = template_of(item)
        if template is not None:
            yield f"{item['kind']} {item['metadata']['name']}", template


def pods_of_spark(name: str) -> Iterator[tuple[str, Object]]:
    """The pods that Spark makes from what an overlay's objects hold, each with a name for messages."""
    for item in rendered(name):
        if item["kind"] == "ConfigMap":
            for file, text in item["data"].items():
                found = yaml.safe_load(text) if file.endswith(".yaml") else {}
                if found.get("kind") == "Pod":
                    yield file, found
        if item["kind"] == "SparkApplication":
            yield from ((part, item["spec"][part]["template"]) for part in ("driver", "executor"))


def variables(container: Object) -> dict[str, Any]:
    """The variables of a container by name."""
    return {each["name"]: each for each in container.get("env", ())}
