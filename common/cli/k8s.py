"""`adstream k8s`: a job on Kubernetes, from the manifests below `k8s/`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from common.cli.console import err_line, out
from common.cli.k8s_deploy import deploy
from common.cli.k8s_release import end, kinds_of
from common.cli.k8s_target import (
    NOTHING,
    Context,
    Given,
    Place,
    Target,
    live_target,
    names_of,
    numbers_of,
    running_settings,
    target,
)
from common.cli.options import Job, tasks
from common.errors import AdstreamError, ExitCode
from common.kubernetes.instance import Instance
from common.kubernetes.kubectl import dump
from common.kubernetes.live import Live
from common.kubernetes.numbers import Numbers
from common.kubernetes.objects import JOB, driver_of, selector
from common.kubernetes.view import pod_view

app = App(name="k8s", help="Jobs on Kubernetes: render their manifests, release them, and see how they are.")
app.command(deploy)


@app.command(name="render")
def show(
    job: Job,
    /,
    *,
    place: Place,
    given: Given = NOTHING,
) -> None:
    """Print the objects of a job; no cluster is asked.

    adstream k8s render sessions --overlay local/flink-application --set gap=15m
    """
    print(dump(target(job, place, given).objects), end="")


@app.command
def diff(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
    given: Given = NOTHING,
) -> int:
    """Show what 'apply' would change on the cluster; exits with 1 where that is anything.

    adstream k8s diff sessions --overlay production/spark-driver
    """
    there = live_target(job, place, given, context)
    code, printed = there.kubectl.run("diff", "--filename=-", text=dump(there.objects), accepted=(0, 1))
    print(printed, end="")
    return ExitCode.DIFFERENT if code else ExitCode.OK


@app.command
def apply(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
    given: Given = NOTHING,
) -> None:
    """Put a job's objects on the cluster, without the checks that 'deploy' makes.

    adstream k8s apply sessions --overlay local/flink-application
    """
    there = live_target(job, place, given, context)
    print(there.kubectl.apply(there.objects), end="")


@app.command
def status(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
) -> None:
    """Show a job's pods, with their restarts, and its watermark, lag and records.

    adstream k8s status sessions --overlay production/spark-driver
    """
    kubectl = target(job, place, context=context).kubectl
    names, live = names_of(kubectl, job), Live.of(kubectl, job)
    pods = kubectl.select("pods", selector(*names))
    table = Table("pod", "part", "phase", "ready", "restarts", "why", box=None)
    for view in map(pod_view, pods):
        ready = "yes" if view.ready else "no"
        table.add_row(view.name, view.part, view.phase, ready, str(view.restarts), view.reason)
    out.print(table)
    for name in names:
        numbers = numbers_of(kubectl, [pod for pod in pods if pod["metadata"]["labels"][JOB] == name])
        if numbers is not None:
            out.print(f"{name}: {told(numbers)}")
        elif name == live.name:
            err_line(f"job '{job}': no driver tells its numbers")
    if live.output:
        out.print(f"{live.name} is live, its output is {live.output}")


@app.command
def logs(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative="", help="Go on until ^C.")] = False,
    lines: Annotated[int, Parameter(help="How many lines of each container; -1 for all.")] = 50,
) -> None:
    """Print what a job's pods say, each line with its pod.

    adstream k8s logs sessions --overlay production/spark-driver --follow
    """
    if lines < -1:
        raise AdstreamError(f"--lines is {lines}", "give at least 0, or -1 for all")
    kubectl = target(job, place, context=context).kubectl
    arguments = [
        "logs",
        f"--selector={selector(*names_of(kubectl, job))}",
        "--all-containers",
        "--prefix",
        f"--tail={lines}",
    ]
    if not follow:
        print(kubectl.text(*arguments), end="")
        return
    line = kubectl.command(*arguments, "--follow", "--max-log-requests=50")
    sys.stdout.flush()
    os.execv(line[0], line)  # noqa: S606 kubectl goes on in the place of this process


@app.command
def scale(
    job: Job,
    /,
    *,
    place: Place,
    parallelism: Annotated[int, Parameter(help="How many tasks step buckets side by side.")],
    context: Context = "",
) -> None:
    """Let a running job go on with another parallelism; its other settings and values stay as they are on the cluster.

    It stops, and goes on from its checkpoint. On Flink it gets as many task managers.

    adstream k8s scale sessions --overlay production/flink-application --parallelism 6
    """
    assignment = f"parallelism={tasks('--parallelism', parallelism)}"
    there = live_target(job, place, context=context)
    print(there.kubectl.apply(there.of(running(there, [assignment])).objects), end="")


@app.command
def delete(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
) -> None:
    """End a job, and all revisions of it: their objects go, and with them their pods.

    What they have kept and written below /data stays, and so does the ConfigMap that says which of it is live.

    adstream k8s delete sessions --overlay local/flink-application
    """
    there = target(job, place, context=context)
    kinds = {*kinds_of(there.objects), "Job"}  # checks of releases that were killed
    print(end(there.kubectl, kinds, *names_of(there.kubectl, job)), end="")


def told(numbers: Numbers) -> str:
    """Numbers in a line."""
    lag = "unknown" if math.isnan(numbers.lag) else f"{numbers.lag:,.1f} s"
    counts = f"{numbers.steps:,} steps, {numbers.records:,} records in, {numbers.dead:,} dead letters"
    return f"watermark lag {lag}, {counts}"


def running(there: Target, assignments: Sequence[str]) -> Instance:
    """A job as it runs on the cluster, with some settings assigned anew.

    Raises:
        AdstreamError: It does not run there, or a setting is not valid.
    """
    live = there.kubectl.get([driver_of(there.objects)])
    if not live:
        raise AdstreamError(f"job '{there.instance.job}' does not run there", "adstream k8s deploy starts it")
    found, values = running_settings(there, live[0], assignments)
    return replace(there.instance, settings=found, literals=values)
