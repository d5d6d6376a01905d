"""`adstream plan`: the picture of a job, its settings, and the checks that need no data."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from common.cli.console import out
from common.cli.options import Config, Job, Set
from common.cli.request import job_settings
from common.config.described import described
from common.config.job import JobSettings
from common.topology.checks import check
from common.topology.render import to_json, to_mermaid


def plan(
    job: Job,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    as_settings: Annotated[bool, Parameter(name="--settings", negative="")] = False,
    config: Config = None,
    assignments: Set = (),
) -> None:
    """Check a job and print its topology, as a Mermaid flowchart.

    Paste it into any Markdown file, as a block of code in the language 'mermaid'.

        adstream plan sessions
        adstream plan sessions --settings
        adstream plan sessions --set grace=0 --json

    Parameters
    ----------
    as_json
        Nodes, edges, streams with their owners, and parameters, as JSON.
    as_settings
        What can be set for the job instead: each setting, its value, and what it means.
    """
    settings = job_settings(job, config, assignments)
    topology = import_module(f"jobs.{job}.topology").topology(settings)
    check(topology)
    if as_settings:
        _show_settings(settings)
        return
    text = json.dumps(to_json(topology), indent=2) if as_json else to_mermaid(topology).rstrip()
    print(text)


def _show_settings(settings: JobSettings) -> None:
    table = Table("setting", "value", "what it is", box=None)
    for row in described(type(settings), settings.model_dump()):
        table.add_row(*row)
    out.print(table)
