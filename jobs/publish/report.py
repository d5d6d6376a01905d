"""What the output of the publish job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

from common.contracts.contract import load
from common.streams.materialise import table
from jobs.publish.changes import PUBLIC


def report(output: Path) -> dict[str, int | str]:
    """How many advertisements there are after all changes.

    Args:
        output: The output folder of a run.
    """
    return {PUBLIC: table(output, PUBLIC, load(PUBLIC)).num_rows}
