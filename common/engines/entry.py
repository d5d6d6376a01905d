"""The child's half of a run: what each engine's `__main__` calls.

The parent's half is `common.engines.launch`. Between them are the spec (in), and beside the outputs the
summary or the failure (out): not every launcher passes an exit code or the standard error on.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TextIO

from common.errors import AdstreamError, ExitCode, error_of, first_line, is_full_disk, is_read_only, reason_of
from common.files import staged
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary

FAILURE = "_run/failure.json"
TRACE = "_run/error.log"
LOG_PREFIX = "[adstream] "
"""What the suite's own log lines begin with, so that they can be told from an engine's."""


@dataclass(frozen=True)
class Failure:
    """Why a run failed, as its user may read it.

    Attributes:
        problem: What is wrong, naming the thing and the value.
        remedy: What to do about it.
        code: The exit code.
    """

    problem: str
    remedy: str
    code: int

    def save(self, output: Path) -> None:
        """Writes the failure below the output folder: a whole one, or none where a disk has no room for it."""
        with staged(output / FAILURE) as place:
            place.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, output: Path) -> Failure | None:
        """The failure of the last run into an output folder, or None."""
        path = output / FAILURE
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def error(self) -> AdstreamError:
        """The failure as it was raised."""
        return error_of(ExitCode(self.code))(self.problem, self.remedy)


def entry(run: Callable[[JobSpec], Summary]) -> None:
    """Runs `python -m common.engines.<engine> SPEC.json`; exits with the run's code.

    Args:
        run: The engine.
    """
    log_to(sys.stderr)
    interrupt_when_terminated()
    sys.exit(run_spec(run, sys.argv[1:]))


def run_spec(run: Callable[[JobSpec], Summary], arguments: list[str]) -> int:
    """Runs the spec that the arguments name; a failure becomes one line, a file and an exit code."""
    try:
        spec = _spec(arguments)
    except AdstreamError as error:
        return _fail(Failure(error.problem, error.remedy, error.code))
    output = Path(spec.output)
    try:
        with _exported(spec):
            run(spec)
    except AdstreamError as error:
        return _fail(Failure(error.problem, error.remedy, error.code), output)
    except KeyboardInterrupt:
        return _fail(Failure("interrupted", "", ExitCode.INTERRUPTED), output)
    except Exception as error:  # noqa: BLE001 whatever it is, its reader gets one line; the trace is kept for a report
        if is_full_disk(error):
            remedy = "make room, and run it again: nothing is lost, it goes on with this step"
            return _fail(
                Failure(f"no space left on a disk ({first_line(error)})", remedy, ExitCode.UNAVAILABLE), output
            )
        if is_read_only(error):
            remedy = "let it take writes, and run it again: nothing is lost, it goes on with this step"
            return _fail(Failure(f"a storage is read-only ({first_line(error)})", remedy, ExitCode.UNAVAILABLE), output)
        trace = output / TRACE
        trace.parent.mkdir(parents=True, exist_ok=True)
        trace.write_text(traceback.format_exc())
        problem = f"engine '{spec.engine}' failed: {type(error).__name__}: {first_line(error)}"
        return _fail(Failure(problem, f"see {trace}", ExitCode.DEFECT), output)
    return ExitCode.OK


def interrupt_when_terminated() -> None:
    """Lets SIGTERM end the process as ^C does: cleanly, by way of `KeyboardInterrupt`."""
    signal.signal(signal.SIGTERM, _interrupt)


def log_to(stream: TextIO) -> None:
    """Sends this process's share of the suite's log to a stream, one marked line a message."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(LOG_PREFIX + "%(message)s"))
    log = logging.getLogger("adstream")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _spec(arguments: list[str]) -> JobSpec:
    if len(arguments) != 1:
        raise AdstreamError(
            f"expected one argument, the spec of a run, got {len(arguments)}", "start it with 'adstream run'"
        )
    try:
        return JobSpec.load(arguments[0])
    except (OSError, ValueError, TypeError) as error:
        raise AdstreamError(f"spec '{arguments[0]}': {reason_of(error)}", "let 'adstream run' write it") from error


def _exported(spec: JobSpec) -> AbstractContextManager[object]:
    if not spec.metrics:
        return nullcontext()
    # Imported only when it is asked for: every run would start later.
    exported: AbstractContextManager[object] = import_module("common.runtime.exporter").exported(spec)
    return exported


def _fail(failure: Failure, output: Path | None = None) -> int:
    if output is not None:
        with suppress(OSError):  # a disk that is full has no room for this either
            failure.save(output)
    print(f"adstream: {failure.error()}", file=sys.stderr)
    return failure.code
