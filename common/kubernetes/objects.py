"""Objects of Kubernetes as plain mappings, and what the suite looks for in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from common.errors import AdstreamError

Object = Mapping[str, Any]
"""An object as its manifest has it."""

JOB = "app.kubernetes.io/name"
"""The label that says which job an object belongs to, or which revision of one."""
OF_JOB = "adstream.io/job"
"""The label that says of which job something is a revision."""
PART = "app.kubernetes.io/component"
"""The label that says which part of the job it is."""
SUITE = "app.kubernetes.io/part-of"
DRIVERS = ("driver", "jobmanager")
"""The parts that run `adstream run`."""
LIVE = "live"
"""The part that is no pod: the ConfigMap that says which revision of a job is the live one."""
CONTAINER = "job"
"""The container that does."""
METRICS_PORT = 9108
STATE = frozenset({"PersistentVolumeClaim", "PersistentVolume"})
"""Kinds that hold what a job has kept: they are deleted only when that is asked for."""
REVISED = "deployments,services,configmaps,poddisruptionbudgets"
"""Kinds by which a revision is found that is there, or was left half there."""
_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


def key(item: Object) -> tuple[str, str]:
    """What an object is known by in its namespace: kind and name."""
    return str(item["kind"]), str(item["metadata"]["name"])


def template_of(item: Object) -> Object | None:
    """The pod that an object makes: metadata and spec; None where it makes none."""
    path = _TEMPLATES.get(item["kind"])
    if path is None:
        return item if item["kind"] == "Pod" else None
    found: Object = item
    for step in path:
        found = found[step]
    return found


def containers(pod: Object) -> Iterator[Object]:
    """All containers of a pod's spec, those that start it included."""
    yield from pod.get("initContainers", ())
    yield from pod["containers"]


def driver_of(objects: Iterable[Object]) -> Object:
    """The object whose pod runs `adstream run`.

    Raises:
        AdstreamError: There is none.
    """
    for item in objects:
        if _drives(item):
            return item
    raise AdstreamError(f"no object has a container '{CONTAINER}'", "choose an overlay of a job")


def goes_on(objects: Iterable[Object]) -> bool:
    """Whether a job's driver is a Deployment, and so has no end: only such a job has revisions, of which one is live."""
    return any(item["kind"] == "Deployment" and _drives(item) for item in objects)


def container_of(driver: Object) -> Object:
    """The container of a driver that runs `adstream run`."""
    template = template_of(driver)
    assert template is not None
    return next(each for each in template["spec"]["containers"] if each["name"] == CONTAINER)


def _drives(item: Object) -> bool:
    template = template_of(item)
    return template is not None and any(each["name"] == CONTAINER for each in template["spec"]["containers"])


def settings_name(driver: Object) -> str:
    """The name of the ConfigMap that a driver's settings are in, the hash of its content included."""
    template = template_of(driver)
    assert template is not None
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    return str(volumes["settings"]["configMap"]["name"])


def revised(job: str, revision: str) -> str:
    """The name of a revision of a job; that of the job where there is none."""
    return f"{job}-{revision}" if revision else job


def selector(*names: str) -> str:
    """What selects the objects of jobs, or of revisions of them, by their names."""
    return f"{JOB} in ({','.join(names)}),{SUITE}=adstream"
