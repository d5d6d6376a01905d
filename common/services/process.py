"""A service as a process of this machine: started once, found again by its record, stopped cleanly.

<home>/<service>/record.json   pid, endpoints, command
<home>/<service>/log.txt       what it says
<home>/<service>/…             its data and configuration
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from common.errors import AdstreamError, UnavailableError

RECORD = "record.json"
LOG = "log.txt"
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Record:
    """A service that was started.

    Attributes:
        service: Its name.
        pid: Its process.
        born: When the process started, in clock ticks since boot: a pid alone may be another's by now. 0 if it had ended
            before that was asked.
        endpoints: Where it is reached, by purpose.
        stop_signal: What asks it to stop.
    """

    service: str
    pid: int
    born: int
    endpoints: Mapping[str, str]
    stop_signal: int = signal.SIGTERM

    @property
    def running(self) -> bool:
        """Whether the process that was started is still there."""
        return self.born != 0 and _born(self.pid) == self.born


@dataclass(frozen=True)
class Launch:
    """How to start a service.

    Attributes:
        command: The command line.
        endpoints: Where it will be reached.
        ready: Tells whether it answers; may raise `OSError` while it does not.
        settle: What is to be done each time once it answers; may raise `OSError`.
        env: Variables over those of this process.
        user: The system user to run as; None for this one.
        stop_signal: What asks it to stop, whoever is still connected.
    """

    command: list[str]
    endpoints: Mapping[str, str]
    ready: Callable[[], bool]
    settle: Callable[[], None] = lambda: None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: int = signal.SIGTERM


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kept_port(folder: Path, purpose: str) -> int:
    """A free port the first time, the same one ever after: clients remember where a service was.

    Args:
        folder: The service's folder.
        purpose: Which of the service's ports.
    """
    kept = folder / f"{purpose}.port"
    if not kept.exists():
        kept.write_text(str(free_port()))
    return int(kept.read_text())


def answers(port: int) -> bool:
    """Whether somebody listens on a port of the loopback interface."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def load(folder: Path) -> Record | None:
    """The record of a service, or None if it was never started here."""
    path = folder / RECORD
    return Record(**json.loads(path.read_text())) if path.exists() else None


def start(service: str, folder: Path, launch: Launch, patience: float) -> Record:
    """Starts a service and waits until it answers.

    Args:
        service: Its name.
        folder: Its folder.
        launch: How to start it.
        patience: How many seconds it may take.

    Raises:
        AdstreamError: It ended, or did not answer in time (`UNAVAILABLE`).
    """
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            launch.command,
            env={**os.environ, **launch.env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=launch.user,
            start_new_session=True,  # it outlives the command that started it
        )
    record = Record(service, process.pid, _born(process.pid), launch.endpoints, launch.stop_signal)
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n")
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _failed(service, folder, f"ended at start with code {process.returncode}")
        try:
            if launch.ready():
                launch.settle()
                return record
        except OSError:
            pass
        time.sleep(POLL_SECONDS)
    stop(folder, patience)
    raise _failed(service, folder, f"did not answer within {patience:.0f} s")


def stop(folder: Path, patience: float) -> bool:
    """Ends a service's process, by force when it takes longer than `patience` seconds; tells whether it ran."""
    record = load(folder)
    if record is None or not record.running:
        return False
    for signal_ in (record.stop_signal, signal.SIGKILL):
        os.kill(record.pid, signal_)
        deadline = time.monotonic() + patience
        while record.running and time.monotonic() < deadline:
            _reaped(record.pid)
            time.sleep(POLL_SECONDS)
        if not record.running:
            break
    # Its threads end after it, and hold its ports until then.
    deadline = time.monotonic() + patience
    while not _reaped(record.pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return True


def _failed(service: str, folder: Path, how: str) -> AdstreamError:
    log = folder / LOG
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    said = f"; it said: {last[0][:200]}" if last else ""
    return UnavailableError(f"service '{service}' {how}{said}", f"read {log}")


def _born(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 if there is none, or only its remains."""
    try:
        # The second field, the program's name, may hold anything; the 22nd counts from behind it (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def _reaped(pid: int) -> bool:
    """Takes away what remains of a child that has ended; whether nothing remains, or it is not this process's to take."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
