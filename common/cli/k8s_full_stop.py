"""A release by full stop: the old driver ends, and the new one goes on from its checkpoint, or the old one again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from common.cli.console import err_line, out
from common.cli.k8s_release import (
    WATCH_SECONDS,
    Release,
    checked,
    delete,
    end_others,
    refuse,
    rolled_out,
    unready,
)
from common.cli.k8s_target import Target, numbers_of
from common.errors import AdstreamError
from common.kubernetes.live import Live
from common.kubernetes.numbers import Bounds, Numbers, behind, burst
from common.kubernetes.objects import STATE, Object, goes_on, selector
from common.kubernetes.release import before, new
from common.kubernetes.revision import output_of


def full_stop(release: Release) -> None:
    """Releases the live revision of a job, which goes on with its state; a job that does not run yet is started.

    Raises:
        AdstreamError: See `Strategy`.
    """
    kubectl, job = release.there.kubectl, release.there.instance.job
    live = Live.of(kubectl, job)
    there = release.there.live(live)
    objects, name = there.objects, there.instance.name
    checked(there)
    if goes_on(objects):
        live.claimed(kubectl, output_of(objects))
        end_others(there, name)
    running = kubectl.get(objects)
    last = numbers_of(kubectl, kubectl.select("pods", selector(name))) or Numbers()
    print(kubectl.apply(objects), end="")
    try:
        rolled_out(kubectl, objects, release.patience)
        if goes_on(objects):
            _look(there, last, release.watch, release.bounds)
    except AdstreamError as error:
        if Live.of(kubectl, job).revision == live.revision:
            _back(there, running, release.patience)
        raise AdstreamError(f"the release of '{job}' was rolled back: {error.problem}", error.remedy) from error
    out.print(f"{job}: released")


def _look(there: Target, last: Numbers, seconds: float, bounds: Bounds) -> None:
    """Looks at a job for a while.

    Raises:
        AdstreamError: It is not well.
    """
    samples, deadline = list[Numbers](), time.monotonic() + seconds
    pods: Sequence[Object] = ()
    while time.monotonic() < deadline:
        pods = there.kubectl.select("pods", selector(there.instance.name))
        numbers = numbers_of(there.kubectl, pods)
        if numbers is not None:
            samples.append(numbers)
            refuse(burst(last, numbers, bounds))
        time.sleep(WATCH_SECONDS)
    refuse(behind(last, samples, bounds))
    refuse(unready(pods))


def _back(there: Target, running: Sequence[Object], patience: float) -> None:
    """Puts a job back to what it was before a release; one that is new is taken away."""
    err_line("not well: going back")
    earlier = before(running)
    if earlier:
        there.kubectl.apply(earlier)
    delete(there.kubectl, [item for item in new(there.objects, running) if item["kind"] not in STATE])
    rolled_out(there.kubectl, earlier, patience)
