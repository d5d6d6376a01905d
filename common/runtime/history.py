"""What each of a job's last steps did, so that its course can be drawn.

    <checkpoint>/steps.jsonl    a line a step, the oldest dropped once they fill `MOST_BYTES`

They are for people, as `common/runtime/metrics.py` is. Nothing is computed from them: the checkpoint is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from common.files import staged
from common.operators.step import BEGINNING
from common.runtime.checkpoint import HISTORY, Manifest

MOST_BYTES = 4 * 2**20
"""About 10,000 steps."""


@dataclass(frozen=True)
class TakenStep:
    """What was known after a step.

    Attributes:
        step: Its number, from 0.
        completed: When it was complete, by the wall clock, in epoch ms.
        newest: The latest event time seen so far, in epoch ms; `BEGINNING` for none.
        watermark: The watermark, in epoch ms.
        counters: The job's counters since its first step.
    """

    step: int
    completed: int
    newest: int = BEGINNING
    watermark: int = BEGINNING
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, after: Manifest, now: int) -> TakenStep:
        """The step that a checkpoint follows, complete at `now` (epoch ms)."""
        clock = after.clock
        newest = max(clock.latest.values(), default=BEGINNING)
        return cls(after.step - 1, now, newest, clock.watermark, dict(after.counters))

    def append(self, checkpoint: Path, most_bytes: int = MOST_BYTES) -> None:
        """Adds it to the steps in a checkpoint's folder; where they are too many, the older half goes."""
        checkpoint.mkdir(parents=True, exist_ok=True)
        path = checkpoint / HISTORY
        with path.open("a") as file:
            # The line feed comes first: behind a line that a crash cut off, too, this one is whole.
            file.write("\n" + json.dumps(asdict(self)))
            size = file.tell()
        if size > most_bytes:
            lines = path.read_text().splitlines(keepends=True)
            with staged(path) as place:
                place.write_text("".join(lines[len(lines) // 2 :]))


def taken_steps(checkpoint: Path) -> list[TakenStep]:
    """The last steps of a job, in order; of one that was taken again, how it was taken last.

    A line that a crash cut off is passed over.
    """
    try:
        lines = (checkpoint / HISTORY).read_text().splitlines()
    except OSError:
        return []
    found: dict[int, TakenStep] = {}
    for line in lines:
        try:
            taken = TakenStep(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[taken.step] = taken
    return [found[step] for step in sorted(found)]
