"""Running a process to its end, and what it cost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.runs import Runs

ROOT = Path(__file__).parents[2]
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Measured:
    """What a process and all that it started cost.

    Attributes:
        runs: What the process itself timed.
        wall: How long it took, from its start to its end, in seconds.
        peak: The largest sum of the resident memory of all processes, in bytes; pages that two share count twice.
        load: The machine's load average over the last minute, before the start.
    """

    runs: Runs
    wall: float
    peak: int
    load: float


def measured(command: Sequence[str], environment: Mapping[str, str], result: Path) -> Measured:
    """Runs a command.

    Args:
        command: The command; it leaves `Runs` in `result`.
        environment: What it needs over this process's environment.
        result: Where `Runs` is then; what it says goes to a file of the same name that ends in `.log`.

    Raises:
        RuntimeError: It failed.
    """
    result.parent.mkdir(parents=True, exist_ok=True)
    log_path = result.with_suffix(".log")
    load = os.getloadavg()[0]
    started = time.monotonic()
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        peak = _watch(process)
    wall = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode} of {command[0]}: see {log_path}")
    return Measured(Runs.load(result), wall, peak, load)


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Waits for a process; gives its peak."""
    tree, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, sum(_resident(member) for member in (tree, *tree.children(recursive=True))))
        except psutil.NoSuchProcess:
            continue
        time.sleep(SAMPLE_SECONDS)
    return peak


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0
