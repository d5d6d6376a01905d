"""A process of a cluster, with a log that says when it is ready."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE_SECONDS = 180.0
LIGHT_JIT = "-XX:TieredStopAtLevel=1"
"""A Java process that lives for minutes does not earn back what the better compiler costs."""


class Daemon:
    """A process that was started, with all that it starts.

    Args:
        command: The command line.
        environment: What it needs over this process's environment.
        log: Where what it says goes.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                list(command),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, text: str) -> None:
        """Waits until it has said something."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.said:
            assert self._process.poll() is None and time.monotonic() < deadline, f"never '{text}': {self.said}"
            time.sleep(0.1)

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def tree(self) -> list[psutil.Process]:
        """The process and what it has started."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """Kills it without a warning; what it has started is left alone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ends it, and all that it has started."""
        left = self.tree()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
