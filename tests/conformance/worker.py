"""Runs many specs of one engine in one process, so that its start is paid once: `… worker.py SPEC…`.

The kit starts it with the engine's own command, in the place of the engine's `__main__`.
A spec whose output already has a failure is passed over: it is the next run of a job that failed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from common.engines.entry import Failure, interrupt_when_terminated, log_to, run_spec
from common.errors import ExitCode
from common.runtime.spec import JobSpec


def main(paths: list[str]) -> None:
    """Runs the specs in turn; `common.engines.entry` leaves a failure beside the output of each that fails."""
    log_to(sys.stderr)
    interrupt_when_terminated()
    for path in paths:
        spec = JobSpec.load(path)
        if Failure.load(Path(spec.output)) is None:
            code = run_spec(import_module(f"common.engines.{spec.engine}.translate").run, [path])
            if code == ExitCode.INTERRUPTED:
                sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
