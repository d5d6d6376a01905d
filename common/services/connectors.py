"""Connectors of Kafka Connect: started from a configuration in the repository, and made to begin anew."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from common.errors import AdstreamError, UnavailableError

PATIENCE = 60.0
POLL_SECONDS = 0.5
STEADY_SECONDS = 3.0
"""How long a connector must be seen to read: what Connect keeps of it may be from before it was started."""
_NOT_YET, _BUSY = 404, 409
"""HTTP's codes, as Connect uses them: it does not know of it yet, it is sorting its work out."""


def start(connect: str, name: str, config: Mapping[str, str], database: str) -> None:
    """Starts a connector, one that runs too, and waits until it reads.

    Args:
        connect: The URL of Kafka Connect.
        name: The name of the connector.
        config: Its configuration, without the database.
        database: `postgresql://USER:PASSWORD@HOST:PORT/NAME`.

    Raises:
        AdstreamError: Connect does not answer (`UNAVAILABLE`), or the connector failed.
    """
    _ask(f"{connect}/connectors/{name}/config", "PUT", {**config, **_login(database)})
    _ask(f"{connect}/connectors/{name}/resume", "PUT")
    _ask(f"{connect}/connectors/{name}/restart?includeTasks=true", "POST")
    deadline, since = time.monotonic() + PATIENCE, time.monotonic()
    while time.monotonic() < since + STEADY_SECONDS:
        time.sleep(POLL_SECONDS)
        state = _state(connect, name)
        if state != "RUNNING":
            since = time.monotonic()
        if since > deadline:
            raise AdstreamError(
                f"connector '{name}' is {state or 'not there'} after {PATIENCE:.0f} s", "see the log of the service"
            )


def forget(connect: str, name: str) -> None:
    """Stops a connector and drops its place in the log: started again, it reads the whole table first.

    Args:
        connect: The URL of Kafka Connect.
        name: The name of the connector.

    Raises:
        AdstreamError: There is no such connector, or Connect does not answer (`UNAVAILABLE`).
    """
    _ask(f"{connect}/connectors/{name}/stop", "PUT")
    deadline = time.monotonic() + PATIENCE
    while (status := _ask(f"{connect}/connectors/{name}/status")) and status["connector"]["state"] != "STOPPED":
        if time.monotonic() > deadline:
            raise AdstreamError(f"connector '{name}' does not stop", "see the log of the service")
        time.sleep(POLL_SECONDS)
    _ask(f"{connect}/connectors/{name}/offsets", "DELETE")


def _state(connect: str, name: str) -> str:
    """The state of a connector's task; empty while there is none.

    Raises:
        AdstreamError: The task failed.
    """
    status = _ask(f"{connect}/connectors/{name}/status") or {"tasks": []}
    for task in status["tasks"]:
        if task["state"] == "FAILED":
            raise _failed(name, task["trace"])
        return str(task["state"])
    return ""


def _failed(name: str, trace: str) -> AdstreamError:
    if "no longer available on the server" in trace:
        return AdstreamError(
            f"connector '{name}': its replication slot is lost, and with it the changes that come next",
            "take the table up anew: 'A slot that is lost' in common/databases/README.md",
        )
    lines = [line.strip() for line in trace.splitlines() if line and not line.lstrip().startswith(("at ", "... "))]
    cause = lines[-1].removeprefix("Caused by: ")[:500] if lines else "no reason given"
    return AdstreamError(f"connector '{name}' failed: {cause}", "correct it, then start the connector again")


def _login(database: str) -> dict[str, str]:
    """A database's address in Debezium's settings."""
    parts = urlsplit(database)
    return {
        "database.hostname": parts.hostname or "localhost",
        "database.port": str(parts.port or 5432),
        "database.user": unquote(parts.username or "postgres"),
        "database.password": unquote(parts.password or ""),
        "database.dbname": unquote(parts.path.strip("/")),
    }


def _ask(url: str, method: str = "GET", config: Mapping[str, str] | None = None) -> Any:
    """What Connect answers; None for nothing, and while it does not know what it is asked."""
    data = None if config is None else json.dumps(config).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                    return json.loads(response.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code == _NOT_YET and method in {"GET", "POST"}:
                    return None
                if error.code != _BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        raise AdstreamError(
            f"Connect refuses '{url}' ({' '.join(said.split())[:500]})", "correct the connector"
        ) from None
    except OSError as error:
        raise UnavailableError(f"Connect at {url} does not answer ({error})", "adstream services up connect") from None
