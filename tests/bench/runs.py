"""What a measured process leaves behind: how long its job took, each time it ran it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Runs:
    """Runs of one job in one process; the first is cold, the last is warm.

    Attributes:
        seconds: How long each run took, without the start of the process.
        steps: How long each micro-batch of each run took, in seconds, but for its first, which also starts the query;
            empty for a job that has none.
        processor: How long each of the last run's took of the processor, in seconds, where the job is one process.
        written: How many bytes of state each of the last run's wrote.
    """

    seconds: tuple[float, ...]
    steps: tuple[tuple[float, ...], ...]
    processor: tuple[float, ...] = ()
    written: tuple[int, ...] = ()

    def save(self, path: Path) -> None:
        """Writes them as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Runs:
        """Reads what `save` wrote."""
        content = json.loads(path.read_text())
        steps = tuple(tuple(steps) for steps in content["steps"])
        return cls(tuple(content["seconds"]), steps, tuple(content["processor"]), tuple(content["written"]))


def timed(job: Callable[[Path], Sequence[float]], output: Path, times: int) -> Runs:
    """Runs a job some times, each time into a folder of its own below `output`: `0`, `1` and so on.

    Args:
        job: Takes the folder; gives the seconds of its micro-batches but the first, if it has any.
        output: The folder of all runs.
        times: How many.
    """
    seconds, steps = [], []
    for number in range(times):
        started = time.monotonic()
        steps.append(tuple(job(output / str(number))))
        seconds.append(time.monotonic() - started)
    return Runs(tuple(seconds), tuple(steps))
