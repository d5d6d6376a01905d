"""`adstream k8s deploy`: a release with checks before it and after it, and a way back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import err_line, out
from common.cli.k8s_target import NOTHING, Context, Given, Place, Target, numbers_of, target
from common.cli.options import Job, duration
from common.errors import AdstreamError, ExitCode
from common.kubernetes.kubectl import Kubectl
from common.kubernetes.numbers import Bounds, Numbers, behind, burst
from common.kubernetes.objects import STATE, Object, driver_of, selector
from common.kubernetes.release import PATIENCE_SECONDS, before, blocked, check_of, new, refused
from common.kubernetes.view import pod_view

POLL_SECONDS = 2.0
WATCH_SECONDS = 5.0


def deploy(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
    given: Given = NOTHING,
    patience: Annotated[str, Parameter(help="How long the new pods may take until they are ready.")] = "10m",
    watch: Annotated[
        str, Parameter(help="How long the job is looked at, once it runs; a job that stands still is noticed after 1m.")
    ] = "2m",
    dead_share: Annotated[
        float, Parameter(help="The largest share of dead letters among the records since the release.")
    ] = 0.01,
) -> None:
    """Release a job: check it where it will run, stop the old one, start the new one, look at it, go back if it is not well.

    The check is a pod of the release, with its image, settings and rights, that asks whether streams and schemas are
    there, whether the broker lets it do its work, and whether the kept state is one that it can go on with. If not,
    nothing is changed. Afterwards the watermark must catch up, and dead letters must not burst.

    adstream k8s deploy sessions --overlay production/spark-driver --set grace=1h
    """
    seconds, looked = duration("--patience", patience) / 1000, duration("--watch", watch) / 1000
    there = target(job, place, given, context)
    kubectl, objects = there.kubectl, there.objects
    kubectl.apply(objects, "--dry-run=server")
    live = kubectl.get(objects)
    with _config_maps(kubectl, new(objects, live)):
        _check(kubectl, check_of(objects))
    out.print(f"{job}: checked", highlight=False)
    last = numbers_of(kubectl, kubectl.select("pods", selector(job))) or Numbers()
    print(kubectl.apply(objects), end="")
    try:
        _rolled_out(kubectl, objects, seconds)
        if driver_of(objects)["kind"] == "Deployment":
            _look(there, last, looked, Bounds(dead_share=dead_share))
    except AdstreamError as error:
        _back(kubectl, objects, live, seconds)
        raise AdstreamError(f"the release of '{job}' was rolled back: {error.problem}", error.remedy) from error
    out.print(f"{job}: released", highlight=False)


@contextmanager
def _config_maps(kubectl: Kubectl, added: Iterable[Object]) -> Iterator[None]:
    """Has the ConfigMaps of a release there for its check; takes them away again if it is stopped."""
    maps = [item for item in added if item["kind"] == "ConfigMap"]
    if maps:
        kubectl.apply(maps)
    try:
        yield
    except BaseException:
        _delete(kubectl, maps)
        raise


def _check(kubectl: Kubectl, check: Object) -> None:
    """Runs the check of a release.

    Raises:
        AdstreamError: It failed, or its pod could not be started.
    """
    _delete(kubectl, [check])
    kubectl.apply([check])
    try:
        reason = _outcome(kubectl, check["metadata"]["name"])
    finally:
        _delete(kubectl, [check])
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


def _rolled_out(kubectl: Kubectl, objects: Iterable[Object], patience: float) -> None:
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


def _look(there: Target, last: Numbers, seconds: float, bounds: Bounds) -> None:
    """Looks at a job for a while.

    Raises:
        AdstreamError: It is not well.
    """
    samples, deadline = list[Numbers](), time.monotonic() + seconds
    pods: Sequence[Object] = ()
    while time.monotonic() < deadline:
        pods = there.kubectl.select("pods", selector(there.instance.job))
        numbers = numbers_of(there.kubectl, pods)
        if numbers is not None:
            samples.append(numbers)
            _refuse(burst(last, numbers, bounds))
        time.sleep(WATCH_SECONDS)
    _refuse(behind(last, samples, bounds))
    views = [view for view in map(pod_view, pods) if view.phase not in {"Succeeded", "Failed", "Terminating"}]
    _refuse(", ".join(f"pod {view.name} is not ready {view.reason}".strip() for view in views if not view.ready))


def _refuse(reason: str) -> None:
    if reason:
        raise AdstreamError(reason, "see adstream k8s logs", ExitCode.REFUSED)


def _back(kubectl: Kubectl, objects: Iterable[Object], live: Sequence[Object], patience: float) -> None:
    """Puts a job back to what it was before a release; one that is new is taken away."""
    err_line("not well: going back")
    earlier = before(live)
    if earlier:
        kubectl.apply(earlier)
    _delete(kubectl, [item for item in new(objects, live) if item["kind"] not in STATE])
    _rolled_out(kubectl, earlier, patience)


def _delete(kubectl: Kubectl, objects: Sequence[Object]) -> None:
    names = [f"{item['kind']}/{item['metadata']['name']}" for item in objects]
    if names:
        kubectl.text("delete", *names, "--ignore-not-found", "--wait=true")
