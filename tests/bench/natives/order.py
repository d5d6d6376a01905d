"""What a native job is told, and what it tells."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.runs import timed


@dataclass(frozen=True)
class Order:
    """What to run.

    Attributes:
        source: The folder of the input streams.
        output: The folder of the outputs; run *n* writes below `output/n`.
        result: The file that the times go to.
        times: How often to run.
        options: What the job takes beside that.
    """

    source: Path
    output: Path
    result: Path
    times: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def given(cls) -> Order:
        """The order that this process was started with."""
        content = json.loads(sys.argv[1])
        folders = {name: Path(content[name]) for name in ("source", "output", "result")}
        return cls(**{**content, **folders})

    def carry_out(self, job: Callable[[Path], Sequence[float]]) -> None:
        """Runs the job as often as wanted, and leaves the times."""
        timed(job, self.output, self.times).save(self.result)

    def to_json(self) -> str:
        """The order as the process takes it."""
        return json.dumps(self.__dict__, default=str)
