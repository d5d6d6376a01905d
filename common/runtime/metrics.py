"""What is known about a job after each step: the numbers that are exported, whatever engine took the step.

    <checkpoint>/metrics.json    replaced by whoever completes a step, wherever that process runs

They are for people and their tools. Nothing is computed from them: the checkpoint is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from common.files import staged
from common.operators.step import BEGINNING
from common.runtime.checkpoint import METRICS, Manifest
from common.streams.folder import Position


@dataclass(frozen=True)
class Metrics:
    """A job's numbers after a step.

    Attributes:
        steps: How many steps the job has taken since its first run.
        completed: When the last of them was complete, in epoch ms; 0 before the first.
        step_seconds: How long that took, from when it could begin: its records had arrived, and the step before it
            was complete.
        busy_seconds: How long all steps but the first took, each so measured: before it, records may have waited for a
            job that was not there.
        watermark: The watermark, in epoch ms.
        position: What was taken of the source streams.
        counters: What the job has counted since its first step: of its operators, and `records_in` and `dead_letters`.
        gauges: How much its operators hold.
    """

    steps: int = 0
    completed: int = 0
    step_seconds: float = 0.0
    busy_seconds: float = 0.0
    watermark: int = BEGINNING
    position: Position = field(default_factory=Position)
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, int] = field(default_factory=dict)

    def after(self, manifest: Manifest, total: Mapping[str, int], now: int) -> Metrics:
        """The numbers after a step, from those before it.

        Args:
            manifest: The checkpoint that follows the step.
            total: Its counters and gauges, as `Run.metrics` adds them up.
            now: The wall clock, in epoch ms.
        """
        took = max(now - max(self.completed, manifest.clock.arrived), 0) / 1000
        return Metrics(
            steps=manifest.step,
            completed=now,
            step_seconds=took,
            busy_seconds=self.busy_seconds + (took if self.completed else 0.0),
            watermark=manifest.clock.watermark,
            position=manifest.position,
            counters=manifest.counters,
            gauges={name: value for name, value in total.items() if name not in manifest.counters},
        )

    def save(self, checkpoint: Path) -> None:
        """Puts them into a checkpoint's folder, in the place of those that are there."""
        with staged(checkpoint / METRICS) as place:
            place.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, checkpoint: Path) -> Metrics:
        """The numbers that a checkpoint's folder holds; those of a job that has not begun, where it holds none."""
        try:
            content = json.loads((checkpoint / METRICS).read_text())
            return cls(**{**content, "position": Position(**content["position"])})
        except (OSError, ValueError, TypeError, KeyError):
            return cls()  # none yet, or another version's: the next step replaces them
