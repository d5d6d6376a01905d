"""What the output of the eventification job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc

from common.contracts.contract import load
from common.streams.columns import as_array
from common.streams.materialise import table


def report(output: Path) -> dict[str, int | str]:
    """Promotions after all changes, and how many of them lack a side.

    Args:
        output: The output folder of a run.
    """
    value = as_array(table(output, "promotions", load("promotions"))["value"])
    return {
        "promotions": len(value),
        "without a campaign": pc.struct_field(value, "campaign").null_count,
        "without a customer": pc.struct_field(value, "customer").null_count,
    }
