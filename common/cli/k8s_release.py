"""The steps that releases are made of, whatever their strategy: the check, the roll-out, the look, the end of what was."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from common.cli.console import err_line, out
from common.cli.k8s_target import Target, names_of
from common.errors import AdstreamError
from common.kubernetes.kubectl import Kubectl, dump
from common.kubernetes.numbers import Bounds
from common.kubernetes.objects import LIVE, PART, STATE, Object, driver_of, selector
from common.kubernetes.release import PATIENCE_SECONDS, blocked, check_of, new, refused
from common.kubernetes.view import pod_view

POLL_SECONDS = 2.0
WATCH_SECONDS = 5.0
_ALWAYS = frozenset({"ConfigMap", "Deployment", "PodDisruptionBudget", "Service"})


@dataclass(frozen=True)
class Release:
    """What is released, and how it is judged.

    Attributes:
        there: The job as its overlay has it, with the settings of the release.
        patience: For how many seconds it may get ready.
        watch: For how many seconds it is looked at once it is.
        bounds: What is well.
    """

    there: Target
    patience: float
    watch: float
    bounds: Bounds


class Strategy(Protocol):
    """How a release takes the place of what runs."""

    def __call__(self, release: Release, /) -> None:
        """Makes the release.

        Raises:
            AdstreamError: It was not made, and why; what ran before runs on, or again.
        """
        ...


def checked(there: Target) -> None:
    """Asks the API server whether it would take a release, and checks it where it will run; nothing has changed then.

    Raises:
        AdstreamError: It is not taken, the check failed, or its pod could not be started.
    """
    kubectl, objects = there.kubectl, there.objects
    kubectl.apply(objects, "--dry-run=server")
    with _config_maps(kubectl, new(objects, kubectl.get(objects))):
        _check(kubectl, check_of(objects))
    out.print(f"{there.instance.name}: checked")


@contextmanager
def _config_maps(kubectl: Kubectl, added: Iterable[Object]) -> Iterator[None]:
    """Has the ConfigMaps of a release there for its check; takes them away again if it is stopped."""
    maps = [item for item in added if item["kind"] == "ConfigMap"]
    if maps:
        kubectl.apply(maps)
    try:
        yield
    except BaseException:
        delete(kubectl, maps)
        raise


def _check(kubectl: Kubectl, check: Object) -> None:
    """Runs the check of a release.

    Raises:
        AdstreamError: It failed, or its pod could not be started.
    """
    delete(kubectl, [check])
    kubectl.apply([check])
    try:
        reason = _outcome(kubectl, check["metadata"]["name"])
    finally:
        delete(kubectl, [check])
    if reason:
        raise AdstreamError(f"the release was stopped by the check before it: {reason}", "nothing was changed")


def _outcome(kubectl: Kubectl, name: str) -> str:
    """Waits for the end of a check; why it failed, or nothing."""
    pods_of, deadline = f"batch.kubernetes.io/job-name={name}", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        status = kubectl.json("get", "job", name).get("status", {})
        if status.get("succeeded"):
            return ""
        if status.get("failed"):
            return refused(kubectl.text("logs", f"--selector={pods_of}", "--tail=5"))
        events = kubectl.json("get", "events", f"--field-selector=involvedObject.name={name}")["items"]
        reason = blocked(kubectl.select("pods", pods_of), events)
        if reason:
            return reason
        time.sleep(POLL_SECONDS)
    return f"it took longer than {PATIENCE_SECONDS} s"


def rolled_out(kubectl: Kubectl, objects: Iterable[Object], patience: float) -> None:
    """Waits until the pods of all Deployments are new and ready.

    Raises:
        AdstreamError: They are not, in time.
    """
    deadline = time.monotonic() + patience
    for item in objects:
        if item["kind"] == "Deployment":
            name, left = item["metadata"]["name"], max(int(deadline - time.monotonic()), 1)
            err_line(f"waiting for {name}")
            kubectl.text("rollout", "status", f"deployment/{name}", f"--timeout={left}s")


def refuse(reason: str) -> None:
    """Ends a look at a release.

    Raises:
        AdstreamError: There is a reason.
    """
    if reason:
        raise AdstreamError(reason, "see adstream k8s logs")


def unready(pods: Iterable[Object]) -> str:
    """Which pods are not ready, and why; empty where all are."""
    views = [view for view in map(pod_view, pods) if view.phase not in {"Succeeded", "Failed", "Terminating"}]
    return ", ".join(f"pod {view.name} is not ready {view.reason}".strip() for view in views if not view.ready)


def delete(kubectl: Kubectl, objects: Sequence[Object]) -> None:
    """Deletes objects by their names, as far as they are there."""
    names = [f"{item['kind']}/{item['metadata']['name']}" for item in objects]
    if names:
        kubectl.text("delete", *names, "--ignore-not-found", "--wait=true")


def kinds_of(objects: Iterable[Object]) -> tuple[str, ...]:
    """The kinds that are deleted with a job: those of its objects, and of other shapes that go on."""
    return tuple(sorted({item["kind"] for item in objects if item["kind"] not in STATE} | _ALWAYS))


def end(kubectl: Kubectl, kinds: Iterable[str], *names: str) -> str:
    """Ends jobs, or revisions of them, by their names, and waits until their pods have gone; gives what went, a line each.

    ConfigMaps of earlier releases go too. What says which revision is live stays.
    """
    chosen = f"--selector={selector(*names)},{PART}!={LIVE}"
    return kubectl.text("delete", ",".join(kinds), chosen, "--ignore-not-found", "--cascade=foreground", "--wait=true")


def end_others(there: Target, *kept: str) -> None:
    """Ends all revisions of a job but some: what releases have left that were killed, or that this one takes over from.

    Args:
        there: The job.
        kept: The names of those that go on.
    """
    others = [name for name in names_of(there.kubectl, there.instance.job) if name not in kept]
    if others:
        print(end(there.kubectl, kinds_of(there.objects), *others), end="")


def is_there(there: Target) -> bool:
    """Whether the driver of a release is on the cluster."""
    return bool(there.kubectl.get([driver_of(there.objects)]))


def is_unchanged(there: Target) -> bool:
    """Whether a cluster has a release as it is."""
    return not there.kubectl.run("diff", "--filename=-", text=dump(there.objects), accepted=(0, 1))[0]
