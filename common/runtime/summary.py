"""What a run did, for whoever started it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SUMMARY = "_run/summary.json"


@dataclass(frozen=True)
class Summary:
    """The result of a run; `save` puts it beside the outputs.

    Attributes:
        metrics: Counters since the job's first step, and gauges of what it holds.
        balance: The metrics that must add up to `records_in`: nothing is lost in silence.
        steps: How many steps the job has taken since its first run.
        watermark: The watermark at the end, in epoch ms.
        seconds: How long the run took inside the engine, without its start-up.
    """

    job: str
    engine: str
    mode: str
    output: str
    metrics: Mapping[str, int]
    balance: tuple[str, ...]
    steps: int
    watermark: int
    seconds: float

    @property
    def accounted(self) -> int:
        """How many of the records that came in are accounted for."""
        return sum(self.metrics.get(name, 0) for name in self.balance)

    @property
    def balanced(self) -> bool:
        """Whether every record that came in is accounted for."""
        return self.accounted == self.metrics.get("records_in", 0)

    def save(self, output: Path) -> None:
        """Writes the summary below the output folder."""
        path = output / SUMMARY
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, output: Path) -> Summary:
        """Reads the summary of the last run into an output folder."""
        content = json.loads((output / SUMMARY).read_text())
        return cls(**{**content, "balance": tuple(content["balance"])})
