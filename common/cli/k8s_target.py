"""What the commands about Kubernetes share: their options, and the job that they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from common.cli.options import Config, Set
from common.cli.request import job_settings
from common.config.job import JobSettings
from common.config.layers import Layers, pairs, settings
from common.errors import AdstreamError, UnavailableError
from common.kubernetes.instance import SETTINGS_FILE, Instance
from common.kubernetes.kubectl import Kubectl
from common.kubernetes.live import Live
from common.kubernetes.numbers import Numbers
from common.kubernetes.objects import JOB, METRICS_PORT, OF_JOB, REVISED, Object, goes_on, settings_name
from common.kubernetes.render import MANIFESTS, overlay_folder, render
from common.kubernetes.view import newest_driver

Context = Annotated[str, Parameter(show_default=False, help="A context of the kubeconfig, if not its current one.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """The options that say where a job runs, and in which shape."""

    overlay: Annotated[
        str,
        Parameter(help="Where it runs and in which shape, a folder of k8s/overlays such as production/spark-driver."),
    ]
    namespace: Annotated[
        str, Parameter(name=("--namespace", "-n"), show_default=False, help="Another namespace than the overlay's.")
    ] = ""
    manifests: Annotated[
        Path, Parameter(show_default=False, help="The folder of the manifests; this checkout's k8s.")
    ] = MANIFESTS


@Parameter(name="*")
@dataclass(frozen=True)
class Given:
    """The options that say what a job is told, over what its overlay says."""

    values: Annotated[
        Sequence[str],
        Parameter(
            name="--value", negative="", show_default=False, help="INPUT=… or SINK=…: where streams are. Repeatable."
        ),
    ] = ()
    config: Config = None
    assignments: Set = ()


NOTHING = Given()


@dataclass(frozen=True)
class Target:
    """A job and where it runs.

    Attributes:
        kubectl: The way there, in the namespace of the job.
        instance: The job.
        overlay: The folder of its overlay.
        objects: What it is there.
    """

    kubectl: Kubectl
    instance: Instance
    overlay: Path
    objects: tuple[Object, ...]

    def of(self, instance: Instance) -> Target:
        """The same place for another instance.

        Raises:
            AdstreamError: It can't be rendered.
        """
        return replace(self, instance=instance, objects=render(self.kubectl, self.overlay, instance))

    def revision(self, revision: str) -> Target:
        """A revision of the job, with the same settings; raises as `of` does."""
        return self.of(replace(self.instance, revision=revision)) if revision != self.instance.revision else self

    def live(self, known: Live) -> Target:
        """The live revision of the job; raises as `of` does. One that ends by itself has no revisions."""
        return self.revision(known.revision) if goes_on(self.objects) else self


def target(job: str, place: Place, given: Given = NOTHING, context: str = "") -> Target:
    """Renders a job; arguments as the commands take them.

    Raises:
        AdstreamError: There is no such job, overlay or setting, or kubectl is missing or can't render it.
    """
    folder = overlay_folder(place.overlay, place.manifests)
    found = job_settings(job, given.config or _settings_file(folder), given.assignments)
    instance = Instance(job, found, pairs("--value", given.values), place.namespace)
    kubectl = Kubectl.found(context=context)
    objects = render(kubectl, folder, instance)
    where = place.namespace or str(objects[0]["metadata"].get("namespace", ""))
    return Target(Kubectl(kubectl.program, where, context), instance, folder, objects)


def live_target(job: str, place: Place, given: Given = NOTHING, context: str = "") -> Target:
    """As `target`, for the revision that is live on the cluster.

    Raises:
        AdstreamError: As `target`; or the cluster is not reached.
    """
    there = target(job, place, given, context)
    return there.live(Live.of(there.kubectl, job))


def names_of(kubectl: Kubectl, job: str) -> list[str]:
    """What a job and all its revisions are named and labelled with, those included that a release has left half there."""
    found = kubectl.select(REVISED, f"{OF_JOB}={job}")
    return sorted({job, *(str(item["metadata"]["labels"][JOB]) for item in found)})


def running_settings(
    there: Target, driver: Object, assignments: Sequence[str] = ()
) -> tuple[JobSettings, dict[str, str]]:
    """The settings that a driver has on the cluster, with some assigned anew, and the other values of its ConfigMap.

    Raises:
        AdstreamError: A setting is not valid.
    """
    values = dict(there.kubectl.json("get", "configmap", settings_name(driver))["data"])
    with TemporaryDirectory(prefix="adstream-") as folder:
        file = Path(folder, SETTINGS_FILE)
        file.write_text(values.pop(SETTINGS_FILE))
        return settings(there.instance.job, Layers(file, {}, assignments)), values


def numbers_of(kubectl: Kubectl, pods: Sequence[Object]) -> Numbers | None:
    """The numbers that a job's driver serves; None while none does."""
    driver = newest_driver(pods)
    if driver is None:
        return None
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{driver.name}:{METRICS_PORT}/proxy/metrics"
    try:
        return Numbers.of(kubectl.text("get", f"--raw={path}"))
    except UnavailableError:
        raise
    except AdstreamError:
        return None  # it has not opened the port yet, or is about to end


def _settings_file(overlay: Path) -> Path | None:
    """The overlay's own settings, if it has some."""
    path = overlay / SETTINGS_FILE
    return path if path.exists() else None
