"""`adstream k8s`: a job on Kubernetes, from the manifests below `k8s/`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table
from rich.text import Text

from common.cli.console import err_line, out
from common.cli.k8s_deploy import deploy
from common.cli.k8s_target import NOTHING, Context, Given, Place, Target, numbers_of, target
from common.cli.options import Job
from common.config.layers import Layers, settings
from common.errors import AdstreamError, ExitCode
from common.kubernetes.instance import SETTINGS_FILE, Instance
from common.kubernetes.kubectl import dump
from common.kubernetes.objects import STATE, driver_of, selector, settings_name
from common.kubernetes.render import render
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
    there = target(job, place, given, context)
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
    there = target(job, place, given, context)
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
    pods = kubectl.select("pods", selector(job))
    table = Table("pod", "part", "phase", "ready", "restarts", "why", box=None)
    for view in map(pod_view, pods):
        ready = "yes" if view.ready else "no"
        table.add_row(view.name, view.part, view.phase, ready, str(view.restarts), Text(view.reason))
    out.print(table, highlight=False)
    numbers = numbers_of(kubectl, pods)
    if numbers is None:
        err_line(f"job '{job}': no driver tells its numbers")
        return
    lag = "unknown" if math.isnan(numbers.lag) else f"{numbers.lag:,.1f} s"
    out.print(
        f"watermark lag {lag}, {numbers.steps:,} steps, {numbers.records:,} records in, {numbers.dead:,} dead letters",
        highlight=False,
    )


@app.command
def logs(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative="", help="Go on until ^C.")] = False,
    lines: Annotated[int, Parameter(help="How many lines of each container.")] = 50,
) -> None:
    """Print what a job's pods say, each line with its pod.

    adstream k8s logs sessions --overlay production/spark-driver --follow
    """
    kubectl = target(job, place, context=context).kubectl
    arguments = ["logs", f"--selector={selector(job)}", "--all-containers", "--prefix", f"--tail={lines}"]
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
    there = target(job, place, context=context)
    objects = render(there.kubectl, there.overlay, running(there, [f"parallelism={parallelism}"]))
    print(there.kubectl.apply(objects), end="")


@app.command
def delete(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
) -> None:
    """End a job: its objects go, and with them its pods. What it has kept and written below /data stays.

    adstream k8s delete sessions --overlay local/flink-application
    """
    there = target(job, place, context=context)
    # Also ConfigMaps of earlier releases, whose names are no longer rendered.
    kinds = sorted({item["kind"] for item in there.objects if item["kind"] not in STATE} | {"Job"})
    print(
        there.kubectl.text(
            "delete", ",".join(kinds), f"--selector={selector(job)}", "--ignore-not-found", "--wait=true"
        ),
        end="",
    )


def running(there: Target, assignments: Sequence[str]) -> Instance:
    """A job as it runs on the cluster, with some settings assigned anew.

    Raises:
        AdstreamError: It does not run there, or a setting is not valid.
    """
    live = there.kubectl.get([driver_of(there.objects)])
    if not live:
        raise AdstreamError(f"job '{there.instance.job}' does not run there", "adstream k8s deploy starts it")
    values = dict(there.kubectl.json("get", "configmap", settings_name(live[0]))["data"])
    with TemporaryDirectory(prefix="adstream-") as folder:
        file = Path(folder, SETTINGS_FILE)
        file.write_text(values.pop(SETTINGS_FILE))
        found = settings(there.instance.job, Layers(file, {}, assignments))
    return replace(there.instance, settings=found, literals=values)
