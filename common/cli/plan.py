"""`adstream plan`: the picture of a job, and the checks that need no data."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Annotated

from cyclopts import Parameter

from common.cli.options import Config, Job, Set
from common.cli.request import job_settings
from common.topology.checks import check
from common.topology.render import to_json, to_mermaid


def plan(
    job: Job,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Config = None,
    assignments: Set = (),
) -> None:
    """Check a job and print its topology, as a Mermaid flowchart.

    Paste it into any Markdown file, between ```mermaid and ```.

        adstream plan sessions
        adstream plan sessions --set grace=0 --json

    Parameters
    ----------
    as_json
        Nodes, edges, streams with their owners, and parameters, as JSON.
    """
    settings = job_settings(job, config, assignments)
    topology = import_module(f"jobs.{job}.topology").topology(settings)
    check(topology)
    text = json.dumps(to_json(topology), indent=2) if as_json else to_mermaid(topology).rstrip()
    print(text)
