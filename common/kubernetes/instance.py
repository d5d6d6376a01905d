"""One job from an overlay that was written for another: the same kustomization with another name and other settings.

An overlay below `k8s/overlays` is the job `sessions`, ready for `kubectl apply --kustomize`. It names the job in two
places, a prefix and a label, and its settings are one generated ConfigMap. Those are what is replaced here; all else,
patches included, stays as it is written. So what the command line applies is what the manifests hold.

A revision of a job, which runs beside another one, has a prefix and a label of its own. So no selector of the one finds
pods of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from common.config.job import JobSettings
from common.errors import AdstreamError
from common.kubernetes.objects import JOB, OF_JOB, revised

SETTINGS = "settings"
"""The ConfigMap of a job's settings and of where its streams are."""
SETTINGS_FILE = "jobs.yaml"
WORKERS = "taskmanager"
"""The object whose replicas are the job's parallelism, a slot each."""
Kustomization = Mapping[str, Any]


@dataclass(frozen=True)
class Instance:
    """What a job puts into an overlay.

    Attributes:
        job: The job.
        settings: Its settings.
        literals: Values of the ConfigMap to replace, such as `INPUT`.
        namespace: Where it goes; empty for where the overlay says.
        revision: Which revision of the job it is; empty for the job as its overlay has it.
    """

    job: str
    settings: JobSettings
    literals: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    revision: str = ""

    @property
    def name(self) -> str:
        """What its objects are named and labelled with."""
        return revised(self.job, self.revision)

    def settings_text(self) -> str:
        """The settings as `adstream run --config` reads them: those that were set, durations in ms."""
        return yaml.safe_dump({self.job: self.settings.model_dump(exclude_unset=True)}, sort_keys=True)


def instantiate(overlay: Kustomization, instance: Instance, workers: int | None = None) -> Kustomization:
    """An overlay's kustomization for another job.

    Args:
        overlay: The kustomization as it is written.
        instance: The job.
        workers: How many task managers it has; None for as many as the overlay says.

    Raises:
        AdstreamError: It is not the overlay of a job, or has no value of that name.
    """
    generators = overlay.get("configMapGenerator", ())
    files = [file for each in generators if each["name"] == SETTINGS for file in each.get("files", ())]
    if "namePrefix" not in overlay or SETTINGS_FILE not in files:
        raise AdstreamError(
            f"the overlay is of no job: it has no namePrefix, or no ConfigMap '{SETTINGS}' with {SETTINGS_FILE}",
            "choose one as k8s/README.md describes",
        )
    changed: dict[str, Any] = {
        **overlay,
        "namePrefix": f"{instance.name}-",
        "labels": [_labelled(labels, instance.name) for labels in overlay.get("labels", ())],
        "configMapGenerator": [_generator(generator, instance.literals) for generator in generators],
    }
    if instance.revision:
        changed["labels"].append({"pairs": {OF_JOB: instance.job}, "includeTemplates": True})
    if instance.namespace:
        changed["namespace"] = instance.namespace
    if workers is not None:
        others = [each for each in overlay.get("replicas", ()) if each["name"] != WORKERS]
        changed["replicas"] = [*others, {"name": WORKERS, "count": workers}]
    return changed


def _labelled(labels: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    pairs = labels["pairs"]
    return {**labels, "pairs": {**pairs, JOB: name}} if JOB in pairs else labels


def _generator(generator: Mapping[str, Any], values: Mapping[str, str]) -> Mapping[str, Any]:
    if generator["name"] != SETTINGS:
        return generator
    literals: Sequence[str] = generator.get("literals", ())
    names = [literal.partition("=")[0] for literal in literals]
    for name in values:
        if name not in names:
            raise AdstreamError(f"the overlay has no value '{name}'", f"it has {', '.join(names) or 'none'}")
    replaced = [f"{name}={values[name]}" if name in values else old for name, old in zip(names, literals, strict=True)]
    return {**generator, "literals": replaced}
