"""The schema registry, by Confluent's Schema Registry API: one request, and what may come of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from common.errors import AdstreamError, UnavailableError

TIMEOUT_SECONDS = 10
NOT_FOUND, SERVER_ERROR = 404, 500
"""HTTP's codes; from the second on they say that it is the server's fault."""


class RefusedError(Exception):
    """The registry answers, but it does not have what was asked for, or does not take what was sent.

    Args:
        code: HTTP's code.
        said: Why, in the registry's words.
    """

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def ask(registry: str, path: str, body: Any = None, method: str | None = None) -> Any:
    """What the registry answers.

    Args:
        registry: Its URL.
        path: What is asked, below that.
        body: What is sent, as JSON.
        method: The HTTP method; GET without a body and POST with one if None.

    Raises:
        RefusedError: It refuses.
        AdstreamError: It does not answer (`UNAVAILABLE`).
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{registry}{path}", data, headers, method=method)  # noqa: S310 from the address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code < SERVER_ERROR:
            raise RefusedError(error.code, _said(error)) from error
        raise _unavailable(registry, error) from error
    except (OSError, HTTPException, ValueError) as error:  # refused, cut off, or no JSON: a registry that starts
        raise _unavailable(registry, error) from error


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (OSError, ValueError, KeyError):
        return str(error)


def _unavailable(registry: str, error: Exception) -> AdstreamError:
    return UnavailableError(
        f"the schema registry at {registry} does not answer ({error})",
        "start it (adstream services up registry), or correct the address",
    )
