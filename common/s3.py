"""An object store that speaks S3, as clients other than PyArrow know it: their settings, and the put that PyArrow has not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from common.errors import UnavailableError

S3 = "s3://"
OPTIONS = ("endpoint_override", "scheme", "region")
"""The options of a URL that these clients know."""
_REMEDIES: Mapping[str, str] = {
    "NoSuchBucket": "make the bucket, or correct the URL",
    "AccessDenied": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a user's that may read and write there",
    "InvalidAccessKeyId": "correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "correct AWS_SECRET_ACCESS_KEY",
    "PermanentRedirect": "add region=… to the URL",
}
"""The codes of S3 that no waiting cures."""
_CODE = re.compile(r"<Code>(\w+)</Code>|AWS Error (\w+)")
"""A code in the text of a failure, as S3 writes it and as PyArrow does (`ACCESS_DENIED`)."""
ATTEMPTS = 3
ATTEMPTS_SECONDS, CONNECT_SECONDS = 10, 5
"""A client gives up early: who waits for a service that is away is common/retry.py."""


def given(place: str) -> Mapping[str, str]:
    """The options of a URL."""
    return dict(parse_qsl(urlsplit(place).query, keep_blank_values=True))


def settings(place: str) -> dict[str, str]:
    """What Rust's `object_store` must be told of a place, which Delta's library and obstore are both made on.

    Args:
        place: `s3://BUCKET/PATH?endpoint_override=HOST:PORT&scheme=http&region=NAME`; other options are left out.
    """
    options = given(place)
    scheme = options.get("scheme", "https")
    told = {
        # What is put only where there is nothing yet: of two writers one is told that the other came first.
        "aws_conditional_put": "etag",
        "aws_allow_http": str(scheme == "http").lower(),
    }
    if "endpoint_override" in options:
        told["aws_endpoint_url"] = f"{scheme}://{options['endpoint_override']}"
    if "region" in options:
        told["aws_region"] = options["region"]
    return told


def remedy(failure: str) -> str | None:
    """What to do about a failure that no waiting cures; None of one that may pass.

    Args:
        failure: Its text, as Delta's library, obstore or PyArrow gives it.
    """
    said = _CODE.search(failure)
    code = (said[1] or said[2].replace("_", "")).lower() if said else ""
    return next((then for known, then in _REMEDIES.items() if known.lower() == code), None)


def client(place: str) -> Any:
    """A client of a place, as of `settings`; one a process, as its threads do not outlive a fork.

    Credentials come from the environment, as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.

    Raises:
        AdstreamError: obstore is not installed (`UNAVAILABLE`).
    """
    return _opened(place, os.getpid())


@cache
def _opened(place: str, process: int) -> Any:
    url = urlsplit(place)
    return _library().store.S3Store(
        url.netloc,
        prefix=url.path.strip("/"),
        config=settings(place),
        client_options={"connect_timeout": timedelta(seconds=CONNECT_SECONDS)},
        retry_config={"max_retries": ATTEMPTS, "retry_timeout": timedelta(seconds=ATTEMPTS_SECONDS)},
    )


def put_new(store: Any, name: str, content: bytes) -> bool:
    """Writes an object unless there is one already.

    Args:
        store: A `client`.
        name: Its name, below the client's place.
        content: What it is to hold.

    Returns:
        Whether it was written; if not, another one stands there, or is being written.

    Raises:
        OSError: The store does not serve it.
    """
    obstore = _library()
    try:
        obstore.put(store, name, content, mode="create", use_multipart=False)
    except obstore.exceptions.AlreadyExistsError:
        return False
    except obstore.exceptions.BaseError as error:
        raise OSError(str(error)) from error
    return True


def _library() -> Any:
    try:
        import obstore  # noqa: PLC0415 an extra
        import obstore.store  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            "a job that keeps what it knows in an object store needs the package obstore",
            "install the extra 's3' (uv sync --extra s3), or name a folder",
        ) from error
    return obstore
