"""Runs a spec several times in one process of its engine, so that warm runs can be told from the cold one.

It is started with the engine's own command, in the place of the engine's main module: `… again.py SPEC RESULT TIMES`.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from common.runtime.spec import JobSpec
from tests.bench.runs import timed


class Steps(logging.Handler):
    """Notes when the suite says that a step is complete, and what it cost.

    Args:
        checkpoint: The folder of the run's state.
    """

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self.written: list[int] = []
        self._checkpoint = checkpoint
        self._moments: list[float] = []
        self._processor: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a message of the suite's log."""
        if record.msg.startswith("step "):
            self._moments.append(record.created)
            self._processor.append(time.process_time())
            step, *_ = record.args
            self.written.append(sum(file.stat().st_size for file in self._checkpoint.glob(f"state/{step:09d}/*")))

    @property
    def durations(self) -> tuple[float, ...]:
        """How long each step but the first took, in seconds."""
        return _differences(self._moments)

    @property
    def processor(self) -> tuple[float, ...]:
        """How long each step but the first kept this process busy, in seconds of all its threads."""
        return _differences(self._processor)


def _differences(times: list[float]) -> tuple[float, ...]:
    return tuple(after - before for before, after in pairwise(times))


def main(spec_path: str, result: str, times: str) -> None:
    """Runs the spec, each time into a folder of its own below the spec's output."""
    spec = JobSpec.load(spec_path)
    run = import_module(f"common.engines.{spec.engine}.translate").run
    log = logging.getLogger("adstream")
    log.setLevel(logging.INFO)

    runs: list[Steps] = []

    def job(output: Path) -> tuple[float, ...]:
        steps = Steps(output / "_checkpoint")
        runs.append(steps)
        log.addHandler(steps)
        run(replace(spec, output=str(output), checkpoint=str(output / "_checkpoint")))
        log.removeHandler(steps)
        return steps.durations

    seconds = timed(job, Path(spec.output), int(times))
    last = runs[-1]
    replace(seconds, processor=last.processor, written=tuple(last.written[1:])).save(Path(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
