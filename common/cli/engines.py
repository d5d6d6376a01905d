"""`adstream engines`: which engines can run here."""

from __future__ import annotations

from rich.table import Table

from common.cli.console import out
from common.engines.registry import ENGINES, available


def engines() -> None:
    """List the engines, and why one is not available.

    adstream engines
    """
    table = Table("engine", "here", box=None)
    for engine in ENGINES:
        table.add_row(engine, available(engine) or "available")
    out.print(table)
