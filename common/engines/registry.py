"""The engines by name, and how each is submitted; no engine is imported for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from common.errors import UnavailableError
from common.names import pick
from common.runtime.spec import JobSpec

ENGINES = ("local", "spark", "flink", "beam")


class Submit(Protocol):
    """What `common.engines.<engine>.submit` holds. It never imports its engine."""

    def unavailable(self) -> str | None:
        """Why the engine can't run here, with the remedy; None when it can."""
        ...

    def check(self, spec: JobSpec) -> tuple[str, ...]:
        """Refuses what the engine can't do; gives what it does otherwise than it is asked to, a line each.

        Raises:
            AdstreamError: The spec asks for it.
        """
        ...

    def command(self, spec_path: Path, spec: JobSpec) -> list[str]:
        """The command that runs a saved spec."""
        ...

    def environment(self, spec: JobSpec) -> Mapping[str, str]:
        """What the command needs in its environment, over what the caller has."""
        ...


def submit(engine: str) -> Submit:
    """How an engine is submitted.

    Raises:
        AdstreamError: There is no such engine.
    """
    return cast("Submit", import_module(f"common.engines.{pick('engine', engine, ENGINES)}.submit"))


def available(engine: str) -> str | None:
    """Why an engine can't run here; None when it can."""
    return submit(engine).unavailable()


def require(engine: str) -> None:
    """Refuses an engine that can't run here.

    Raises:
        AdstreamError: There is no such engine, or it is not installed.
    """
    reason = available(engine)
    if reason is not None:
        raise UnavailableError(f"engine '{engine}' is not available", reason)


def check(spec: JobSpec) -> tuple[str, ...]:
    """Refuses what a spec's engine can't do; gives what it does otherwise than it is asked to, a line each.

    Raises:
        AdstreamError: The spec asks for it.
    """
    return submit(spec.engine).check(spec)


def command(spec_path: Path, spec: JobSpec) -> list[str]:
    """The command that runs a saved spec on its engine."""
    return submit(spec.engine).command(spec_path, spec)


def environment(spec: JobSpec) -> Mapping[str, str]:
    """What that command needs in its environment, over what the caller has."""
    return submit(spec.engine).environment(spec)
