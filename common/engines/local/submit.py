"""How a run is started on the local engine, which has no options of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from common.engines.checkpointing import only_own_tables, saved
from common.names import pick
from common.runtime.spec import JobSpec


def command(spec_path: Path, spec: JobSpec) -> list[str]:
    """The command that runs the spec."""
    return [sys.executable, "-m", "common.engines.local", str(spec_path)]


def environment(spec: JobSpec) -> Mapping[str, str]:
    """The variables that the command needs, over those of this process."""
    return {}


def check(spec: JobSpec) -> tuple[str, ...]:
    """Refuses options and a state backend; an interval is told to have no meaning."""
    check_options(spec)
    only_own_tables(spec)
    return saved(spec, "with each step")


def check_options(spec: JobSpec) -> None:
    """Refuses any option of the engine.

    Raises:
        AdstreamError: The spec has one.
    """
    for name in spec.options:
        pick("option", name, (), "engine 'local'")


def unavailable() -> str | None:
    """Why this engine can't run here; it always can."""
    return None
