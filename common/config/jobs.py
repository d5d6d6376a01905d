"""The jobs there are: the folders of the package `jobs` that hold a topology."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from common.config.job import JobSettings
from common.names import pick
from common.topology.nodes import Topology


def jobs() -> tuple[str, ...]:
    """The names of all jobs, sorted."""
    folders = files("jobs").iterdir()
    return tuple(sorted(folder.name for folder in folders if folder.joinpath("topology.py").is_file()))


def settings_type(job: str) -> type[JobSettings]:
    """The type of a job's settings.

    Raises:
        AdstreamError: There is no such job.
    """
    settings: type[JobSettings] = _module(job, "settings").Settings
    return settings


def topology_of(job: str, settings: JobSettings) -> Topology:
    """A job's topology under its settings.

    Raises:
        AdstreamError: There is no such job.
    """
    topology: Topology = _module(job, "topology").topology(settings)
    return topology


def report_of(job: str, output: Path) -> Mapping[str, int | str]:
    """What a job's output holds, by name, for the table after a run.

    Raises:
        AdstreamError: There is no such job.
    """
    report: Mapping[str, int | str] = _module(job, "report").report(output)
    return report


def _module(job: str, name: str) -> ModuleType:
    return import_module(f"jobs.{pick('job', job, jobs())}.{name}")
