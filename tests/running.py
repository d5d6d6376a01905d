"""The engines as parameters of a test, and an engine's process, to be killed or stopped by one."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from common.engines.launch import save_spec
from common.engines.registry import command, environment
from common.runtime.spec import JobSpec


def each_engine(*marks: pytest.MarkDecorator) -> list[object]:
    """Every engine, the local one first, as parameters; each other has its own mark, and `marks`."""
    others = ("spark", "flink", "beam")
    return ["local", *(pytest.param(name, marks=(getattr(pytest.mark, name), *marks)) for name in others)]


def started(
    spec: JobSpec, main: Path | None = None, log: Path | None = None, **variables: str
) -> subprocess.Popen[bytes]:
    """Starts a run, in a process group of its own.

    Args:
        spec: The run.
        main: What is run in the place of the engine's main module.
        log: What gets all that it says, behind what is there already; nobody if absent.
        variables: What its environment has besides.
    """
    line = command(save_spec(spec), spec)
    if main is not None:
        line[-2] = str(main)
    with (log or Path(os.devnull)).open("ab") as said:
        return subprocess.Popen(
            line,
            env={**os.environ, **environment(spec), **variables},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def killed_after(run: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kills a run a while later, unless it has ended; tells whether it was still there."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        kill(run)
        return True
    return False


def kill(run: subprocess.Popen[bytes]) -> None:
    """Kills a run, with all its processes and without a warning."""
    os.killpg(run.pid, signal.SIGSTOP)  # what stands still starts nothing while its processes are looked up
    groups = {run.pid}
    for process in psutil.Process(run.pid).children(recursive=True):
        with suppress(ProcessLookupError):
            groups.add(os.getpgid(process.pid))  # an engine that the command line starts has a group of its own
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    run.wait()
