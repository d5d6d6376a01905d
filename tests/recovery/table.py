"""What came of many schedules, as a table: a row for each venue and fault."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from tests.recovery.play import Played

COLUMNS = ("venue", "job", "fault", "runs", "lost", "doubled", "strange", "p50 s", "max s")


@dataclass(frozen=True)
class Line:
    """What is kept of one fault of one schedule.

    Attributes:
        venue: Where the job ran.
        job: The job.
        seed: The seed of its schedule.
        fault: The fault.
        parallelism: At which the job went on.
        seconds: How long it took to come back.
        lost: The records that the whole run lost; `doubled` and `strange` likewise.
    """

    venue: str
    job: str
    seed: int
    fault: str
    parallelism: int
    seconds: float
    lost: int
    doubled: int
    strange: int

    @property
    def right(self) -> bool:
        """Whether the whole run wrote what it had to."""
        return not (self.lost or self.doubled or self.strange)


def lines_of(played: Played) -> list[Line]:
    """The lines of a schedule."""
    verdict = played.verdict
    counts = len(verdict.lost), len(verdict.doubled), len(verdict.strange)
    return [
        Line(played.venue, played.job, played.seed, each.strike.fault, each.strike.parallelism, each.seconds, *counts)
        for each in played.recovered
    ]


def keep(lines: Iterable[Line], path: Path) -> None:
    """Adds lines to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps(asdict(line)) + "\n" for line in lines)


def kept(path: Path) -> list[Line]:
    """The lines of a file."""
    return [Line(**json.loads(text)) for text in path.read_text().splitlines()] if path.exists() else []


def table(lines: Iterable[Line]) -> Table:
    """The table. What a run lost is told at each of its faults: any of them may be the reason."""
    rows = defaultdict[tuple[str, str, str], list[Line]](list)
    for line in lines:
        rows[line.venue, line.job, line.fault].append(line)
    shown = Table(*COLUMNS, box=None)
    for names, row in sorted(rows.items()):
        seconds = [line.seconds for line in row]
        counts = (len(row), *(sum(getattr(line, name) for line in row) for name in ("lost", "doubled", "strange")))
        times = (statistics.median(seconds), max(seconds))
        shown.add_row(*names, *map(str, counts), *(f"{each:.1f}" for each in times))
    return shown
