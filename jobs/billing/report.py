"""What the output of the billing job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

from jobs.engagements.report import report as engagements
from jobs.sessions.report import report as sessions


def report(output: Path) -> dict[str, int | str]:
    """The lines of `sessions` and of `engagements`.

    Args:
        output: The output folder of a run.
    """
    return {**sessions(output), **engagements(output)}
