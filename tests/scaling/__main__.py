"""`python -m tests.scaling` lets the policy live through days, and draws them into build/scaling/days.svg."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from common.scaling.policy import Limits
from tests.scaling.days import DAYS
from tests.scaling.plot import draw
from tests.scaling.simulate import simulate

PICTURE = Path("build/scaling/days.svg")
COLUMNS = ("day", "changes", "flaps", "most lag", "behind", "task hours", "at least", "always the maximum")


def main() -> None:
    """Prints what each day took."""
    limits = Limits()
    days = {name: simulate(limits, loads(0)) for name, loads in DAYS.items()}
    table = Table(*COLUMNS, box=None)
    for name, day in days.items():
        cells = (f"{day.most_lag / 60_000:.1f} min", f"{day.behind(limits.lag):.1%}", f"{day.task_hours:.0f}")
        table.add_row(
            name, str(len(day.changes)), str(day.flaps), *cells, f"{day.needed_hours:.0f}", f"{24 * limits.maximum}"
        )
    Console(width=120).print(table)
    draw(days, PICTURE)


if __name__ == "__main__":
    main()
