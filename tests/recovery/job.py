"""A job under a supervisor, as a service manager would run it: what ends badly is started again, where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from common.runtime.checkpoint import Checkpoint
from common.runtime.metrics import Metrics

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300.0
"""How long a job may take to the next step, on a machine that has other things to do."""
BETWEEN_STARTS = 1.0
LOOK_SECONDS = 0.02


class RecoveryError(AssertionError):
    """A job did not come back."""


@dataclass
class Job:
    """A job, followed from start to start.

    Attributes:
        name: The job's name.
        engine: Where it runs.
        input: The address of its input.
        folder: Where its output, its checkpoint and what its starts say are.
        settings: The job's settings.
        options: The engine's options.
        parallelism: At which it is started next.
        starts: How often it was started.
    """

    name: str
    engine: str
    input: str
    folder: Path
    settings: Mapping[str, Any]
    options: Mapping[str, str]
    parallelism: int = 2
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "kept"

    @property
    def steps(self) -> int:
        """How many steps are complete, as far as can be seen now."""
        return Metrics.load(self.checkpoint).steps

    @property
    def saved(self) -> int:
        """The step that the suite's checkpoint stands at."""
        manifest = Checkpoint(self.checkpoint).load()
        return manifest.step if manifest else 0

    @property
    def log(self) -> Path:
        """What the last start says."""
        return self.folder / f"start-{self.starts:02d}.log"

    def start(self) -> None:
        """Starts it as its user would, in a process of its own."""
        self.starts += 1
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "common.cli.main", *self._line()],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def reach(self, step: int) -> bool:
        """Waits until so many steps are complete; gives whether they were before it ended.

        Raises:
            RecoveryError: It does not come so far.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.steps < step:
            if time.monotonic() > deadline:
                raise RecoveryError(
                    f"not at step {step} in {PATIENCE_SECONDS:.0f} s, but at {self.steps}: {self._said()}"
                )
            if self.ended():
                return self.steps >= step
            time.sleep(LOOK_SECONDS)
        return True

    def ended(self) -> bool:
        """Whether it is done; started again if it has ended otherwise."""
        code = self._process.poll() if self._process else 1
        if code is None:
            return False
        if code == 0:
            return True
        time.sleep(BETWEEN_STARTS)
        self.start()
        return False

    def refused(self) -> str:
        """Waits until a start has ended badly; gives what it says."""
        assert self._process is not None
        if self._process.wait(PATIENCE_SECONDS) == 0:
            raise RecoveryError(f"it went on: {self._said()}")
        return self._said()

    def finish(self) -> None:
        """Waits for its end, however often it has to be started for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.ended():
            if time.monotonic() > deadline:
                raise RecoveryError(f"no end after {PATIENCE_SECONDS:.0f} s: {self._said()}")
            time.sleep(LOOK_SECONDS)

    def processes(self) -> list[psutil.Process]:
        """What runs of it, the submitting process first, then the engine's."""
        if self._process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            submitting = psutil.Process(self._process.pid)
            return [submitting, *submitting.children(recursive=True)]
        return []

    def interrupt(self) -> None:
        """Asks it to stop, and waits until it has."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_SECONDS)

    def gone(self) -> None:
        """Waits until its submitting process has ended."""
        assert self._process is not None
        self._process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kills all that runs of it at once, also what an earlier start has left."""
        for process in (*self.processes(), *self._orphans()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait()

    def _orphans(self) -> list[psutil.Process]:
        """What has the job's folder in its command line, and all that it has started."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                if any(str(self.folder / "output") in part for part in process.cmdline()):
                    found += [process, *process.children(recursive=True)]
        return found

    def _line(self) -> list[str]:
        settings = {**self.settings, "parallelism": self.parallelism}
        return [
            *("run", self.name, "--engine", self.engine, "--mode", "stream", "--drain"),
            *("--input", self.input, "--output", str(self.output), "--checkpoint", str(self.checkpoint)),
            *(text for name, value in settings.items() for text in ("--set", f"{name}={value}")),
            *(text for name, value in self.options.items() for text in ("--option", f"{name}={value}")),
        ]

    def _said(self) -> str:
        return f"{self.log.read_text(errors='replace').strip()[-2000:]} ({self.log})"
