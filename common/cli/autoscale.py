"""`adstream autoscale`: a job gets more tasks when it is behind, and fewer when they have little to do."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from common.cli.console import out
from common.cli.last import last_spec
from common.cli.options import Job, duration
from common.config.jobs import jobs
from common.engines.entry import log_to
from common.errors import AdstreamError
from common.names import pick
from common.runtime.run import now_ms
from common.scaling.keda import scaled_object
from common.scaling.loop import ByCommand, DryRun, look
from common.scaling.policy import Limits

KNOWN = Limits()


def autoscale(
    job: Job,
    /,
    *,
    output: Annotated[Path | None, Parameter(help="The --output of the job's runs.", show_default=False)] = None,
    minimum: Annotated[int, Parameter(name="--min", help="The fewest tasks.")] = KNOWN.minimum,
    maximum: Annotated[int, Parameter(name="--max", help="The most tasks.")] = KNOWN.maximum,
    step: Annotated[int, Parameter(help="How many tasks come or go at once, at most.")] = KNOWN.step,
    lag: Annotated[str, Parameter(help="A job is behind when its next record has waited for longer.")] = "30s",
    delay: Annotated[
        str, Parameter(help="It also is when its watermark is further behind the clock; 0 for however far.")
    ] = "0s",
    up_after: Annotated[str, Parameter(help="How long it must be behind before it gets more.")] = "2m",
    down_after: Annotated[str, Parameter(help="How long fewer must have been enough before it gets fewer.")] = "15m",
    busy: Annotated[float, Parameter(help="The share of their time that the fewer may be busy.")] = KNOWN.busy,
    cool_down: Annotated[str, Parameter(help="How long nothing changes after a change.")] = "3m",
    every: Annotated[str, Parameter(help="How often to look.")] = "15s",
    dry_run: Annotated[bool, Parameter(negative="", help="Tell what would be done, and do nothing.")] = False,
    once: Annotated[bool, Parameter(negative="", help="Look once, not until ^C.")] = False,
    render: Annotated[
        Literal["keda"] | None,
        Parameter(help="Print the policy as settings of Kubernetes instead.", show_default=False),
    ] = None,
    workers: Annotated[str, Parameter(help="With --render: the Deployment of the workers.")] = "workers",
    prometheus: Annotated[
        str, Parameter(help="With --render: the address of Prometheus.")
    ] = "http://prometheus.monitoring:9090",
) -> None:
    """Give a running job more tasks when it is behind, and fewer when they have little to do.

    Every decision is told, and kept with its reason in OUTPUT/_run/autoscale.jsonl.

        adstream autoscale sessions --output out --max 8 --dry-run
        adstream autoscale sessions --render keda --workers shared-taskmanager
    """
    pick("job", job, jobs())
    limits = Limits(
        minimum=minimum,
        maximum=maximum,
        step=step,
        lag=duration("--lag", lag),
        delay=duration("--delay", delay),
        up_after=duration("--up-after", up_after),
        down_after=duration("--down-after", down_after),
        busy=busy,
        cool_down=duration("--cool-down", cool_down),
    )
    if render == "keda":
        print(scaled_object(job, limits, workers, prometheus), end="")
        return
    if output is None:
        raise AdstreamError("no --output is given", "give that of the job's runs")
    pause = duration("--every", every) / 1000
    log_to(sys.stderr)
    scaler = DryRun() if dry_run else ByCommand()
    if dry_run:
        out.print("dry run: nothing is changed")
    while True:
        look(limits, output, scaler, partial(last_spec, job, output), now_ms())
        if once:
            return
        time.sleep(pause)
