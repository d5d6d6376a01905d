"""Looks at a job over and over, decides, and acts; a process that is started again goes on where it was.

<output>/_run/autoscale.json     what the policy remembers
<output>/_run/autoscale.jsonl    every decision, with its reason and the reading it rests on
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from common.engines.launch import is_running
from common.errors import AdstreamError
from common.files import staged
from common.runtime.spec import JobSpec
from common.scaling.policy import Decision, Limits, Reading, State, decide
from common.scaling.readings import Glance, read

log = logging.getLogger("adstream")

STATE = "_run/autoscale.json"
DECISIONS = "_run/autoscale.jsonl"


class Scaler(Protocol):
    """What gives a job another number of tasks."""

    def scale(self, job: str, output: Path, parallelism: int) -> None:
        """Lets a job go on with so many tasks.

        Args:
            job: The job.
            output: The output folder of its runs, by which it is known.
            parallelism: How many.

        Raises:
            AdstreamError: It can't be done.
        """
        ...


@dataclass(frozen=True)
class DryRun:
    """Changes nothing."""

    def scale(self, job: str, output: Path, parallelism: int) -> None:
        """As `Scaler.scale`."""


@dataclass(frozen=True)
class ByCommand:
    """Scales as a user would, with `adstream scale`, but leaves a job that does not run alone: it would start it."""

    def scale(self, job: str, output: Path, parallelism: int) -> None:
        """As `Scaler.scale`."""
        if not is_running(output):
            raise AdstreamError(f"job '{job}' does not run", "start it; until then nothing is changed")
        command = [sys.executable, "-m", "common.cli.main", "scale", job]
        done = subprocess.run(
            [*command, "--output", str(output), "--parallelism", str(parallelism)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise AdstreamError(f"job '{job}' was not given {parallelism} tasks ({said})", "scale it by hand")


@dataclass(frozen=True)
class Memory:
    """What is remembered between two looks at a job."""

    state: State = field(default_factory=State)
    glance: Glance | None = None

    def save(self, path: Path) -> None:
        """Puts it in the place of what was remembered before."""
        with staged(path) as place:
            place.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Memory:
        """What was saved; nothing if there is none, or another version's."""
        try:
            content = json.loads(path.read_text())
            glance = content["glance"] and Glance(**content["glance"])
            return cls(State(**content["state"]), glance)
        except (OSError, ValueError, TypeError, KeyError):
            return cls()


def look(limits: Limits, output: Path, scaler: Scaler, last: Callable[[], JobSpec], now: int) -> Decision | None:
    """Looks at a job once, and acts.

    Args:
        limits: The policy.
        output: The output folder of the job's runs.
        scaler: What acts.
        last: Gives the job's last run.
        now: The wall clock, in epoch ms.

    Returns:
        What was decided; None when the job's input could not be asked, so that nothing is known.
    """
    memory, spec = Memory.load(output / STATE), last()
    try:
        glance, reading = read(spec, memory.glance, now)
    except AdstreamError as error:
        log.warning("nothing is decided: %s", error)
        return None
    state, decision = decide(limits, memory.state, reading)
    _tell(decision, reading, output / DECISIONS)
    if decision.changes:
        try:
            scaler.scale(spec.job, output, decision.target)
        except AdstreamError as error:
            log.warning("%s", error)
    Memory(state, glance).save(output / STATE)
    return decision


def _tell(decision: Decision, reading: Reading, path: Path) -> None:
    change = f"{decision.parallelism} -> {decision.target}" if decision.changes else f"{decision.parallelism}"
    log.info("parallelism %s: %s", change, decision.reason)
    with path.open("a") as file:
        file.write(json.dumps({"target": decision.target, "reason": decision.reason, **asdict(reading)}) + "\n")
