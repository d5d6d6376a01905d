"""The jobs there are: the folders of the package `jobs` that hold a topology."""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files

from common.config.job import JobSettings
from common.names import pick


def jobs() -> tuple[str, ...]:
    """The names of all jobs, sorted."""
    folders = files("jobs").iterdir()
    return tuple(sorted(folder.name for folder in folders if folder.joinpath("topology.py").is_file()))


def settings_type(job: str) -> type[JobSettings]:
    """The type of a job's settings.

    Raises:
        AdstreamError: There is no such job.
    """
    settings: type[JobSettings] = import_module(f"jobs.{pick('job', job, jobs())}.settings").Settings
    return settings
