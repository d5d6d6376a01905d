"""How a run is started on the Beam engine."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from common.engines.checkpointing import only_own_tables, saved
from common.errors import AdstreamError
from common.runtime.spec import JobSpec


def command(spec_path: Path, spec: JobSpec) -> list[str]:
    """The command that runs the spec; the runner and Beam's own options travel in the spec."""
    return [sys.executable, "-m", "common.engines.beam", str(spec_path)]


def environment(spec: JobSpec) -> dict[str, str]:
    """The variables that the command needs, over those of this process."""
    return {}


def check(spec: JobSpec) -> tuple[str, ...]:
    """Refuses to follow a stream, and a state backend; an interval is told to have no meaning."""
    if spec.mode == "stream" and not spec.until_caught_up:
        raise AdstreamError(
            "the Beam engine takes the files that are there, it can't follow a folder", "add --until-caught-up"
        )
    only_own_tables(spec)
    return saved(spec, "at the end, and every 64 steps on the way")


def unavailable() -> str | None:
    """Why this engine can't run here, with the remedy; None when it can."""
    if find_spec("apache_beam") is None:
        return "apache-beam is not installed: install the extra 'beam'"
    return None
