"""What the output of the enrichment job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

from common.contracts.contract import load
from common.streams.materialise import records


def report(output: Path) -> dict[str, int | str]:
    """Clicks that were joined, and those that were not.

    Args:
        output: The output folder of a run.
    """
    names = {"clicks joined": "enriched-clicks", "clicks unmatched": "unmatched-clicks"}
    return {
        name: sum(part.num_rows for part in records(output, stream, load(stream))) for name, stream in names.items()
    }
