"""What the tables of the landing job hold, for the table after a run."""

from __future__ import annotations

from pathlib import Path

from common.tables.care import tables
from common.tables.place import TablePlace


def report(output: Path) -> dict[str, int | str]:
    """How many rows each table has.

    Args:
        output: The output folder of a run.
    """
    return {name: table.count() for name, table in tables(TablePlace(str(output))).items()}
