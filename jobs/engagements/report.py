"""What the output of the engagements job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.streams.columns import as_array
from common.streams.materialise import table

STREAM = "ad-engagements"


def report(output: Path) -> dict[str, int | str]:
    """Advertisements and conversions after all corrections, and the advertisement with the most of them.

    Args:
        output: The output folder of a run.
    """
    standing = table(output, STREAM, load(STREAM))
    value = as_array(standing["value"])
    sums = value.field("sum")
    return {
        "advertisements": standing.num_rows,
        "with conversions": len(sums) - sums.null_count,
        "unknown": value.field("name").null_count,
        "conversions": pc.sum(sums).as_py() or 0,
        "most conversions": _most(as_array(standing["key"]), value),
    }


def _most(keys: pa.Array, value: pa.StructArray) -> str:
    """The advertisement with the most conversions; of several, the one with the smallest id."""
    sums = value.field("sum")
    if sums.null_count == len(sums):
        return "none"
    row = pc.index(keys, pc.min(keys.filter(pc.equal(sums, pc.max(sums))))).as_py()
    found = value[row].as_py()
    name = "unknown" if found["name"] is None else f"{found['name']} ({found['type']})"
    return f"{found['sum']:,}, advertisement {keys[row]}, {name}"
