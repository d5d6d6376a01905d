"""The objects of a job, rendered by `kubectl kustomize` from an overlay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from common.errors import AdstreamError
from common.kubernetes.instance import SETTINGS_FILE, WORKERS, Instance, Kustomization, instantiate
from common.kubernetes.kubectl import Kubectl
from common.kubernetes.objects import Object
from common.kubernetes.revision import apart
from common.names import nearest

MANIFESTS = Path(__file__).parents[2] / "k8s"
"""The manifests of this checkout."""
KUSTOMIZATION = "kustomization.yaml"
_OUTSIDE = ("resources", "components")
"""What of a kustomization may lie outside its own folder."""


def overlay_folder(name: str, manifests: Path = MANIFESTS) -> Path:
    """The folder of an overlay, such as `production/spark-driver`, or of one elsewhere, by its path.

    Raises:
        AdstreamError: There is no such overlay.
    """
    overlays = manifests / "overlays"
    for folder in (overlays / name, Path(name)):
        if (folder / KUSTOMIZATION).is_file():
            return folder.absolute()
    # Those without settings are of no job: a team's rights, the volume, a cluster that jobs share.
    known = sorted(str(path.parent.relative_to(overlays)) for path in overlays.glob(f"*/*/{SETTINGS_FILE}"))
    raise AdstreamError(f"--overlay: there is no '{name}'", nearest(name, known))


def render(kubectl: Kubectl, overlay: Path, instance: Instance) -> tuple[Object, ...]:
    """The objects of a job. Where it has task managers of its own, they are as many as its parallelism.

    Args:
        kubectl: Renders; no cluster is asked.
        overlay: The folder of the overlay.
        instance: The job.

    Raises:
        AdstreamError: The overlay is not one of a job, or can't be rendered.
    """
    objects = _rendered(kubectl, overlay, instance, None)
    workers, wanted = f"{instance.name}-{WORKERS}", instance.settings.parallelism
    if any(item["metadata"]["name"] == workers and item["spec"].get("replicas", wanted) != wanted for item in objects):
        objects = _rendered(kubectl, overlay, instance, wanted)
    return apart(objects, instance) if instance.revision else objects


def _rendered(kubectl: Kubectl, overlay: Path, instance: Instance, workers: int | None) -> tuple[Object, ...]:
    written = yaml.safe_load((overlay / KUSTOMIZATION).read_text())
    with TemporaryDirectory(prefix="adstream-") as scratch:
        folder = Path(scratch).resolve() / overlay.name
        shutil.copytree(overlay, folder)
        kustomization = _moved(instantiate(written, instance, workers), overlay.resolve(), folder)
        (folder / KUSTOMIZATION).write_text(yaml.safe_dump(dict(kustomization)))
        (folder / SETTINGS_FILE).write_text(instance.settings_text())
        return kubectl.kustomize(folder)


def _moved(kustomization: Kustomization, was: Path, now: Path) -> Mapping[str, Any]:
    """The kustomization with its way to what lies outside, from its new place."""
    ways = {
        name: [_way(entry, was, now) for entry in kustomization[name]] for name in _OUTSIDE if name in kustomization
    }
    return {**kustomization, **ways}


def _way(entry: str, was: Path, now: Path) -> str:
    return os.path.relpath(was / entry, now) if entry.startswith("..") else entry
