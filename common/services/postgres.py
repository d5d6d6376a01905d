"""PostgreSQL with logical decoding, from the machine's own packages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from common.errors import UnavailableError
from common.services.process import Launch, kept_port

NEEDS: tuple[str, ...] = ()
PATIENCE = 30.0
DATABASE = "postgres"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "8",
    "max_wal_senders": "8",
}


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder, making its database the first time.

    Anybody on the loopback interface may log in: it is for trying things out.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.

    Raises:
        AdstreamError: PostgreSQL is not installed, or the database can't be made (`UNAVAILABLE`).
    """
    programs = _programs()
    port = kept_port(folder, "sql")
    data = folder / "data"
    user = _user()
    if not data.exists():
        if user is not None:
            shutil.chown(folder, user)
        _make(programs / "initdb", data, user)
    settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(port)}.items()]
    return Launch(
        command=[str(programs / "postgres"), "-D", str(data), *settings],
        endpoints={"url": f"postgresql://postgres@127.0.0.1:{port}/{DATABASE}"},
        ready=lambda: _accepts(programs / "pg_isready", port),
        user=user,
        stop_signal=signal.SIGINT,  # SIGTERM waits until every client has left (PostgreSQL, "Shutting Down the Server")
    )


def _programs() -> Path:
    """The newest PostgreSQL that is installed: Debian keeps its programs off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    if not found:
        raise UnavailableError("PostgreSQL is not installed", "apt-get install postgresql")
    return Path(found).resolve().parent


def _accepts(pg_isready: Path, port: int) -> bool:
    """Whether the server takes sessions: its port answers before it has recovered from a crash."""
    command = [str(pg_isready), "--host=127.0.0.1", f"--port={port}", "--quiet"]
    return subprocess.run(command, check=False).returncode == 0


def _user() -> str | None:
    """PostgreSQL refuses to run as root: whom to run it as, or None for whoever we are."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise UnavailableError(
            "PostgreSQL can't run as root, and there is no user 'postgres'",
            "apt-get install postgresql, or run as another user",
        ) from None


def _make(initdb: Path, data: Path, user: str | None) -> None:
    command = [str(initdb), "-D", str(data), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    done = subprocess.run(command, cwd=data.parent, user=user, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(
            f"service 'postgres': its database can't be made ({done.stderr.strip()[-200:]})",
            f"may {user or 'you'} write in {data.parent}?",
        )
