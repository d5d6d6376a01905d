"""What a release does to a cluster, as values: the check before it, and the way back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.kubernetes.objects import JOB, PART, SUITE, Object, container_of, driver_of, key, template_of

CHECK = "check"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PATIENCE_SECONDS = 300
_OF_THE_RUN = ("--retry=", "--metrics-host=", "--metrics-port=", "--overwrite")
"""Arguments that a check leaves out: it waits for nothing, serves nothing and drops nothing."""
_WHILE_IT_RUNS = ("startupProbe", "livenessProbe", "readinessProbe", "ports", "lifecycle")


def check_of(objects: Iterable[Object]) -> Object:
    """A Job that makes the checks of a release where it will run: same image, settings, account, volume, rights.

    Args:
        objects: The release.

    Raises:
        AdstreamError: Nothing of it runs `adstream run`.
    """
    driver = driver_of(objects)
    template = template_of(driver)
    assert template is not None
    metadata, pod = driver["metadata"], template["spec"]
    labels = {JOB: metadata["labels"][JOB], SUITE: "adstream", PART: CHECK}
    digest = hashlib.sha256(json.dumps(pod, sort_keys=True).encode()).hexdigest()[:8]
    spec = {
        name: value for name, value in pod.items() if name not in {"initContainers", "terminationGracePeriodSeconds"}
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{labels[JOB]}-{CHECK}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": PATIENCE_SECONDS,
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "metadata": {"labels": labels},
                "spec": {**spec, "restartPolicy": "Never", "containers": [_checking(container_of(driver))]},
            },
        },
    }


def _checking(container: Object) -> Mapping[str, Any]:
    kept = {name: value for name, value in container.items() if name not in _WHILE_IT_RUNS}
    arguments = [each for each in container["args"] if not each.startswith(_OF_THE_RUN)]
    return {**kept, "args": [*arguments, f"--{CHECK}"]}


def before(live: Iterable[Object]) -> tuple[Object, ...]:
    """What was applied last of the objects that a cluster has: what a roll-back applies again."""
    annotations = (item["metadata"].get("annotations", {}) for item in live)
    return tuple(json.loads(each[APPLIED]) for each in annotations if APPLIED in each)


def new(release: Iterable[Object], live: Iterable[Object]) -> tuple[Object, ...]:
    """The objects of a release that a cluster did not have: what a roll-back deletes."""
    there = {key(item) for item in live}
    return tuple(item for item in release if key(item) not in there)


def refused(output: str) -> str:
    """What a check's log says is wrong: its last line, without the program's name."""
    lines: Sequence[str] = [line for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("adstream: ") if lines else "its pod said nothing"


def blocked(pods: Iterable[Object], events: Iterable[Object]) -> str:
    """Why a pod that should run does not; empty while nothing is known to hinder it."""
    for pod in pods:
        for state in pod.get("status", {}).get("containerStatuses", ()):
            waiting = state["state"].get("waiting", {})
            if waiting.get("reason") in {
                "ErrImagePull",
                "ErrImageNeverPull",
                "ImagePullBackOff",
                "InvalidImageName",
                "CreateContainerConfigError",
            }:
                return f"{waiting['reason']}: {waiting.get('message', state['image'])}"
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    return str(failed[-1]["message"]) if failed else ""
