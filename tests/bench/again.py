"""Runs a spec several times in one process of its engine, so that warm runs can be told from the cold one.

It is started with the engine's own command, in the place of the engine's main module: `… again.py SPEC RESULT TIMES`.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from common.runtime.spec import JobSpec
from tests.bench.runs import timed


class Steps(logging.Handler):
    """Notes when the suite says that a step is complete."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a message of the suite's log."""
        if record.msg.startswith("step "):
            self.moments.append(record.created)

    def durations(self) -> list[float]:
        """How long each step but the first took, in seconds."""
        return [after - before for before, after in zip(self.moments, self.moments[1:], strict=False)]


def main(spec_path: str, result: str, times: str) -> None:
    """Runs the spec, each time into a folder of its own below the spec's output."""
    spec = JobSpec.load(spec_path)
    run = import_module(f"common.engines.{spec.engine}.translate").run
    log = logging.getLogger("adstream")
    log.setLevel(logging.INFO)

    def job(output: Path) -> list[float]:
        steps = Steps()
        log.addHandler(steps)
        run(replace(spec, output=str(output), checkpoint=str(output / "_checkpoint")))
        log.removeHandler(steps)
        return steps.durations()

    timed(job, Path(spec.output), int(times)).save(Path(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
