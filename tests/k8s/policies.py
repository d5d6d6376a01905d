"""What every pod must keep to, as a function that tells what it does not."""

from __future__ import annotations

from collections.abc import Iterator

from common.kubernetes.objects import CONTAINER, PART, SUITE, Object, containers

USER = 185
SIDECAR = "Always"


def violations(template: Object) -> Iterator[str]:
    """In what a pod's template breaks the rules of k8s/README.md, one line each.

    Args:
        template: Metadata and spec of the pod.
    """
    pod, labels = template["spec"], template["metadata"]["labels"]
    security = pod.get("securityContext", {})
    rules = {
        "may run as root": security.get("runAsNonRoot") is True and security.get("runAsUser") == USER,
        "has another group": security.get("fsGroup") == USER,
        "has no seccomp profile": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "is on the host's network": not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        "mounts the host": all("hostPath" not in volume for volume in pod.get("volumes", ())),
        "gets variables of services": pod.get("enableServiceLinks") is False,
        "says nothing of a token": "automountServiceAccountToken" in pod,
        "runs as the default account": pod.get("serviceAccountName", "default") != "default",
        "has no priority": "priorityClassName" in pod,
        "is not of the suite": labels.get(SUITE) == "adstream",
        "is no part of anything": PART in labels,
    }
    yield from (f"the pod {what}" for what, kept in rules.items() if not kept)
    for container in containers(pod):
        yield from (f"container {container['name']} {what}" for what in _of_container(container))
    for container in pod["containers"]:
        if template_goes_on(pod):
            yield from (f"container {container['name']} {what}" for what in _without_probes(container))


def template_goes_on(pod: Object) -> bool:
    """Whether a pod has no end: it is a Deployment's."""
    return bool(pod.get("restartPolicy", "Always") == "Always")


def _of_container(container: Object) -> Iterator[str]:
    security, resources = container.get("securityContext", {}), container.get("resources", {})
    rules = {
        "may gain privileges": security.get("allowPrivilegeEscalation") is False and not security.get("privileged"),
        "keeps capabilities": security.get("capabilities") == {"drop": ["ALL"]},
        "writes to its image": security.get("readOnlyRootFilesystem") is True,
        "asks for no processor": "cpu" in resources.get("requests", {}),
        "asks for no memory": "memory" in resources.get("requests", {}),
        "has no limit of memory": "memory" in resources.get("limits", {}),
        "takes any image of its name": ":" in container["image"].rpartition("/")[2]
        and ":latest" not in container["image"],
        "holds a password": not any(
            "PASSWORD" in each["name"] and "value" in each for each in container.get("env", ())
        ),
    }
    return (what for what, kept in rules.items() if not kept)


def _without_probes(container: Object) -> Iterator[str]:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe not in container:
            yield f"has no {probe}"
    if container["name"] == CONTAINER:
        path = container.get("livenessProbe", {}).get("httpGet", {}).get("path", "")
        if not path.startswith("/healthz?patience="):
            yield "is not asked whether it gets on"
        if {"name": "metrics", "containerPort": 9108} not in container.get("ports", ()):
            yield "tells no numbers"
