"""How the kit runs an engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.engines import registry
from common.engines.entry import Failure, run_spec
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("worker.py")
LOG = "worker.log"


class Runner(Protocol):
    """An engine as the kit sees it."""

    @property
    def name(self) -> str:
        """The engine's name."""
        ...

    def unavailable(self) -> str | None:
        """Why it can't run here; None when it can."""
        ...

    def run(self, specs: Sequence[JobSpec], folder: Path, timeout: float) -> None:
        """Runs specs one after another, and leaves their outputs, summaries and failures below their outputs.

        Args:
            specs: What to run; those that share an output are the runs of one job.
            folder: Where it may keep files of its own.
            timeout: How long all of it may take, in seconds.
        """
        ...


@dataclass(frozen=True)
class Worker:
    """An engine of the registry, in a process of its own that runs all specs."""

    name: str

    def unavailable(self) -> str | None:
        return registry.available(self.name)

    def run(self, specs: Sequence[JobSpec], folder: Path, timeout: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, spec in enumerate(specs):
            paths.append(folder / f"spec-{number:04d}.json")
            spec.save(paths[-1])
        line = worker_line(registry.command(paths[0], specs[0]), self.name)
        with (folder / LOG).open("w") as log:
            done = subprocess.run(
                [*line, *map(str, paths)],
                env={**os.environ, "PYTHONPATH": str(ROOT), **registry.environment(specs[0])},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        if done.returncode:
            _blame(specs, done.returncode, folder / LOG)


@dataclass(frozen=True)
class InProcess:
    """An engine's function, called in this process: for engines made for a test."""

    name: str
    function: Callable[[JobSpec], Summary]

    def unavailable(self) -> str | None:
        return None

    def run(self, specs: Sequence[JobSpec], folder: Path, timeout: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "spec.json"
        for spec in specs:
            if Failure.load(Path(spec.output)) is None:
                spec.save(path)
                run_spec(self.function, [str(path)])


def worker_line(command: list[str], engine: str) -> list[str]:
    """An engine's command for a spec, with the worker in the place of the engine's main module, and no spec."""
    line = command[:-1]
    if line[-2:] == ["-m", f"common.engines.{engine}"]:
        return [*line[:-2], str(WORKER)]
    if not line[-1].endswith("__main__.py"):
        raise ValueError(f"the command of '{engine}' does not end in its main module and a spec: {command}")
    return [*line[:-1], str(WORKER)]


def _blame(specs: Sequence[JobSpec], code: int, log: Path) -> None:
    """A worker that died takes with it what it had not run: each such output gets a failure."""
    for spec in specs:
        output = Path(spec.output)
        if not (output / "_run" / "summary.json").exists() and Failure.load(output) is None:
            Failure(f"the worker of '{spec.engine}' died with exit code {code}", f"see {log}", 70).save(output)
