"""The exceptions that users see, and the exit codes of the command line."""

from __future__ import annotations

import errno
import os
import re
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process returns to its caller."""

    OK = 0
    DIFFERENT = 1
    """A comparison was made and the answers differ."""
    REFUSED = 2
    """The request is wrong: a name, a value, a file, a contract, a checkpoint."""
    UNAVAILABLE = 3
    """The request is right, but a service or an engine it needs is not there."""
    DEFECT = 70
    """The suite or an engine broke; the trace is in a file beside the outputs."""
    INTERRUPTED = 130
    """Stopped by the user."""
    UNREAD = 141
    """Who read the output has left, as `head` does: what a shell says of a program that ends by that."""


class AdstreamError(Exception):
    """A failure with a name, a value and a remedy, printed as one line.

    Args:
        problem: What is wrong, naming the thing and the value.
        remedy: What to do about it, as an imperative.

    Attributes:
        code: The exit code of the process. It goes with the type, as an engine brings what a task raised back as the
            text of a trace, in which nothing else of it is left.
    """

    code: ClassVar[ExitCode] = ExitCode.REFUSED

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class UnavailableError(AdstreamError):
    """A service or an engine is not there: the same request may succeed later."""

    code = ExitCode.UNAVAILABLE


class DefectError(AdstreamError):
    """The suite or an engine broke."""

    code = ExitCode.DEFECT


class InterruptedRunError(AdstreamError):
    """The user stopped it."""

    code = ExitCode.INTERRUPTED


_TYPES = {kind.code: kind for kind in (AdstreamError, UnavailableError, DefectError, InterruptedRunError)}
_TOLD = re.compile(
    rf"(?:^|[\s.])({'|'.join(kind.__name__ for kind in _TYPES.values())})(?:'>)?: (.+?)(?: \[while running .*)?$",
    re.MULTILINE,
)
"""A failure in a trace of Python, in one of Java that Flink made of it, or in one of Beam, which says where it was."""


def error_of(code: ExitCode) -> type[AdstreamError]:
    """The type of the failures that end a process with a code."""
    return _TYPES[code]


def told_in(trace: str) -> AdstreamError | None:
    """What a task of the suite raised, from the text in which an engine brings it back; None if it raised nothing of the suite's own."""
    told = _TOLD.search(trace)
    if told is None:
        return None
    kind = next(kind for kind in _TYPES.values() if kind.__name__ == told[1])
    return kind(told[2].strip())


def first_line(error: BaseException) -> str:
    """The first line of what a failure says; libraries add traces and queries below it."""
    return next(iter(str(error).strip().splitlines()), "no message")


def reason_of(error: BaseException) -> str:
    """Why a file can't be used, for a message that names it: what the system says of it, else what the failure says."""
    if not isinstance(error, OSError) or not error.errno:
        return first_line(error)
    # The text of an error that pyarrow raises names the file again; the numbers of a name server are below 0.
    return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)


def is_full_disk(error: BaseException) -> bool:
    """Whether a failure says that a disk is full; libraries that pass on only its text are understood, too."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return full or "No space left on device" in str(error)


def is_read_only(error: BaseException) -> bool:
    """Whether a failure says that a storage takes no writes, as one does that its system has seen fail."""
    return isinstance(error, OSError) and error.errno == errno.EROFS
