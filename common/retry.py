"""Trying again while a service is not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from common.config.job import format_duration
from common.errors import UnavailableError

PAUSE_SECONDS = 1.0
OUTAGE_SECONDS = 120.0
"""How long a job that runs waits for a broker, a registry, a database or a storage; a restart takes about ten."""

Result = TypeVar("Result")


def retry(attempt: Callable[[], Result], seconds: float, tell: Callable[[str], None]) -> Result:
    """Makes an attempt, and makes it again as long as the service it needs is not there.

    Args:
        attempt: What is tried. Only an `UnavailableError` is worth another try.
        seconds: How long it is tried again, from the first failure on; 0 for not at all.
        tell: Called with one line for each new reason to wait, and with one when the wait is over.

    Raises:
        AdstreamError: The last failure.
    """
    first, reasons = 0.0, set[str]()
    while True:
        try:
            result = attempt()
        except UnavailableError as error:
            if not seconds:
                raise
            first = first or time.monotonic()
            if time.monotonic() + PAUSE_SECONDS > first + seconds:
                raise UnavailableError(f"{error.problem}, after {_shown(seconds)} of trying", error.remedy) from error
            if error.problem not in reasons:
                reasons.add(error.problem)
                tell(f"{error.problem}; trying again for up to {_shown(seconds)}")
            time.sleep(PAUSE_SECONDS)
        else:
            if reasons:
                tell(f"it is served again after {time.monotonic() - first:.0f} s")
            return result


def _shown(seconds: float) -> str:
    return format_duration(round(seconds * 1000))
