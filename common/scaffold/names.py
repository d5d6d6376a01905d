"""What new jobs and streams may be called."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Collection

from common.errors import AdstreamError

LONGEST_JOB, LONGEST_STREAM = 20, 50
_JOB = re.compile(r"[a-z][a-z0-9]*")
_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def job_name(name: str, known: Collection[str]) -> str:
    """A name that is a Python package, a part of topic names and a Kubernetes name at once.

    Args:
        name: What was typed.
        known: The names that are taken.

    Raises:
        AdstreamError: It can't be one, or it is taken.
    """
    _check("job", name, LONGEST_JOB, known)
    if not _JOB.fullmatch(name):
        raise AdstreamError(f"job '{name}' can't be called so", "write small letters and digits, such as clickcounts")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in sys.stdlib_module_names:
        raise AdstreamError(f"job '{name}' can't be called so: it is a word of Python", "choose another name")
    return name


def stream_name(name: str, known: Collection[str]) -> str:
    """A name that is a topic and a folder.

    Args:
        name: What was typed.
        known: The names that are taken.

    Raises:
        AdstreamError: It can't be one, or it is taken.
    """
    _check("stream", name, LONGEST_STREAM, known)
    return _words("stream", name, "ad-refunds")


def owner_name(name: str) -> str:
    """The name of a team.

    Raises:
        AdstreamError: It can't be one.
    """
    return _words("owner", name, "ad-serving")


def _words(kind: str, name: str, example: str) -> str:
    if not _WORDS.fullmatch(name):
        raise AdstreamError(
            f"{kind} '{name}' can't be called so", f"write small letters, digits and single hyphens, such as {example}"
        )
    return name


def _check(kind: str, name: str, longest: int, known: Collection[str]) -> None:
    if name in known:
        raise AdstreamError(f"there is a {kind} '{name}' already", "choose another name")
    if len(name) > longest:
        raise AdstreamError(f"{kind} '{name}' is too long: {len(name)} characters", f"take at most {longest}")
