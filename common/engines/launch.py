"""The parent's half of a run: starts an engine's process, follows it, and reads what it left.

Below the output folder lie `_run/spec.json` (what was asked), `_run/engine.log` (all that the process
said), and `_run/summary.json` or `_run/failure.json` (how it ended; `common.engines.entry` writes them).
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from common.engines.entry import FAILURE, TRACE, Failure
from common.engines.registry import command, environment, require
from common.errors import AdstreamError, DefectError, ExitCode, UnavailableError
from common.runtime.spec import SPEC, JobSpec
from common.runtime.summary import SUMMARY, Summary

LOG = "_run/engine.log"
LOCK = "_run/lock"
PATIENCE_SECONDS = 20
"""How long a process that was asked to stop may take."""
GLANCE_SECONDS = 0.5
"""For how long a lock that is held may be that of somebody who only looks whether there is a run."""


def save_spec(spec: JobSpec) -> Path:
    """Saves the spec where its engine's process finds it, and all commands that go on from a job's last run.

    What another run may be writing to is locked first (`only_run`).
    """
    path = Path(spec.output) / SPEC
    spec.save(path)
    return path


def launch(spec: JobSpec, watch: Callable[[str], None], before: Callable[[], object] = lambda: None) -> Summary:
    """Runs a spec on its engine, in a process of its own, and waits for the end.

    Args:
        spec: What to run; its folders as absolute paths.
        watch: Called with each line that the process prints.
        before: Called once no other run can write to the output, and before anything there is changed.

    Raises:
        AdstreamError: The engine is not available, the output is in use, or the run failed.
        KeyboardInterrupt: The user stopped it; the process has ended by then.
    """
    require(spec.engine)
    output = Path(spec.output)
    with only_run(spec) as locks:
        before()
        spec_path = save_spec(spec)
        for leftover in (FAILURE, TRACE, SUMMARY):
            (output / leftover).unlink(missing_ok=True)
        child = subprocess.Popen(
            command(spec_path, spec),
            env={**os.environ, **environment(spec)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=locks,  # an orphan keeps the locks while it can still write
            start_new_session=True,  # so that ^C reaches it by way of _stop only, once
        )
        try:
            last = _follow(child, output / LOG, watch)
        except BaseException:
            _stop(child)
            raise
    return _result(spec, child.returncode, last)


@contextmanager
def only_run(spec: JobSpec) -> Iterator[tuple[int, ...]]:
    """Holds the locks of a run: of its output, and in `stream` mode of its checkpoint.

    Raises:
        AdstreamError: Another run holds one of them.
    """
    with only_writer(Path(spec.output)) as output:
        if spec.mode == "batch":
            yield (output,)
            return
        with only_writer(spec.workplace, "checkpoint") as checkpoint:
            yield output, checkpoint


@contextmanager
def only_writer(folder: Path, kind: str = "output") -> Iterator[int]:
    """Holds the lock of a folder.

    Args:
        folder: The folder.
        kind: What it is, and what the option is called that names it.

    Raises:
        AdstreamError: A run holds it.
    """
    (folder / LOCK).parent.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        if not _locked(file):
            raise AdstreamError(
                f"{kind} '{folder}': another run is writing to it", f"wait for its end, or choose another --{kind}"
            )
        yield file.fileno()


def _locked(file: TextIO) -> bool:
    """Locks a file for a run; whether it could. `is_running` holds the lock, too, while it looks."""
    deadline = time.monotonic() + GLANCE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(GLANCE_SECONDS / 50)
        else:
            return True


def is_running(output: Path) -> bool:
    """Whether a run writes to an output folder."""
    path = output / LOCK
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _follow(child: subprocess.Popen[str], log_path: Path, watch: Callable[[str], None]) -> str:
    """Keeps and passes on what the process prints until it ends; gives the last line that says anything."""
    last = deque[str](maxlen=1)
    with log_path.open("w") as log:
        for line in child.stdout or ():
            log.write(line)
            watch(line.rstrip())
            if line.strip():
                last.append(line.strip())
    child.wait()
    return last.pop() if last else "no output"


def _stop(child: subprocess.Popen[str]) -> None:
    """Asks the process and all that it started to end; makes them after a while, or when it is interrupted again."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _result(spec: JobSpec, code: int, last_line: str) -> Summary:
    output = Path(spec.output)
    failure = Failure.load(output)
    if failure is not None:
        raise failure.error()
    if code != 0:
        problem = f"engine '{spec.engine}' stopped with exit code {code} ({last_line})"
        # A full disk has no room for the failure; then only the code tells that there is something to wait for.
        kind = UnavailableError if code == ExitCode.UNAVAILABLE else DefectError
        raise kind(problem, f"see {output / LOG}")
    if not (output / SUMMARY).exists():
        raise DefectError(f"engine '{spec.engine}' left no summary", f"see {output / LOG}")
    return Summary.load(output)
