"""The jobs that the kit has cases of."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.conformance.job import Job


def _job(name: str) -> Job:
    """What the kit knows of a job: the value of its name, in capitals, in the module of its name."""
    job: Job = getattr(import_module(f"tests.conformance.jobs.{name}"), name.upper())
    return job


JOBS: tuple[Job, ...] = tuple(
    _job(path.stem) for path in sorted(Path(__file__).parent.glob("*.py")) if path != Path(__file__)
)
"""In the order in which they are reported."""
