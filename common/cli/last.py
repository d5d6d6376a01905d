"""The last run of a job, which many commands go on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.config.jobs import jobs
from common.errors import AdstreamError, reason_of
from common.names import pick
from common.runtime.spec import SPEC, JobSpec
from common.storage import absolute

LastOutput = Annotated[
    Path, Parameter(name="--output", help="The --output of the job's runs: there lies what is known of the last one.")
]
LastCheckpoint = Annotated[
    str,
    Parameter(
        name="--checkpoint", help="The place of the kept state; that of the last run if absent.", show_default=False
    ),
]


def last_spec(job: str, output: Path, checkpoint: str = "") -> JobSpec:
    """What a job's last run into an output folder was.

    Raises:
        AdstreamError: There was none, it was of another job, or what is noted of it can't be read.
    """
    pick("job", job, jobs())
    path = output / SPEC
    if not path.exists():
        raise AdstreamError(f"output '{output}': no run is known there", "give the --output of the job's runs")
    try:
        spec = JobSpec.load(path)
    except (OSError, ValueError, TypeError) as error:
        raise AdstreamError(f"'{path}' can't be read ({reason_of(error)})", "run the job again") from error
    if spec.job != job:
        raise AdstreamError(f"output '{output}' is of the job '{spec.job}', not of '{job}'", "give that of its own")
    return replace(spec, checkpoint=absolute(checkpoint)) if checkpoint else spec
