"""Jobs of a run that are on a cluster without it: when its client ends, the cluster knows nothing of that.

A client that is interrupted cancels them. One that was killed could not, and two runs of one job write to the same place:
so a run ends what an earlier one has left before it looks where to go on.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

from common.errors import UnavailableError

log = logging.getLogger("adstream")

OVER = frozenset({"CANCELED", "FAILED", "FINISHED", "SUSPENDED"})
PATIENCE_SECONDS = 120.0
"""How long the tasks of a job may take to end: a step is not interrupted."""
POLL_SECONDS = 0.5
ANSWER_SECONDS = 30.0


def end_earlier(master: str, name: str) -> int:
    """Cancels the jobs of a name on a cluster, and waits until they have ended; gives how many there were.

    Args:
        master: The address of the job manager's REST interface, `HOST:PORT`.
        name: The name.

    Raises:
        AdstreamError: The cluster does not answer, or a job does not end (`UNAVAILABLE`).
    """
    left = cancel(master, name)
    for job in left:
        log.info("ending the job %s, which an earlier run has left on the cluster", job)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _running(master, name):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"job '{name}' of an earlier run does not end on the cluster at {master}",
                "cancel it, then start the job again",
            )
        time.sleep(POLL_SECONDS)
    return len(left)


def cancel(master: str, name: str) -> list[str]:
    """Cancels the jobs of a name on a cluster; gives which there were. They may take a while to end.

    Args:
        master: As for `end_earlier`.
        name: The name.

    Raises:
        AdstreamError: The cluster does not answer (`UNAVAILABLE`).
    """
    left = _running(master, name)
    for job in left:
        _ask(master, "PATCH", f"/jobs/{job}?mode=cancel")
    return left


def _running(master: str, name: str) -> list[str]:
    jobs = _ask(master, "GET", "/jobs/overview").get("jobs", [])
    return [job["jid"] for job in jobs if job["name"] == name and job["state"] not in OVER]


def _ask(master: str, method: str, path: str) -> dict[str, Any]:
    try:
        with closing(HTTPConnection(master, timeout=ANSWER_SECONDS)) as connection:
            connection.request(method, path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read() or b"{}")
            return answer
    except (OSError, HTTPException, ValueError) as error:
        raise UnavailableError(
            f"the job manager at {master} does not answer ({error})", "see whether it runs"
        ) from error
