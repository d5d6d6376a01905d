"""Plain tasks side by side on an engine: for work that is no topology, such as the pages of a table.

Each engine's `tasks.py` holds `opened`, a context in which it runs them. A task is a function without parameters that
can be pickled, and may be called again after a failure. Engines pass on what a task raises as the text of a trace,
so that a failure of the suite's own travels as an answer, and keeps its remedy and its exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Protocol, TypeVar

from common.engines.registry import require
from common.errors import AdstreamError
from common.names import pick
from common.runtime.spec import JobSpec

T = TypeVar("T")

ENGINES = ("local", "spark", "beam")
"""Those that run plain tasks; Flink lives in an environment of its own, and has no batch of functions."""


class SideBySide(Protocol):
    """Runs tasks; gives their answers in the order of the tasks."""

    def __call__(self, tasks: Sequence[Callable[[], T]], /) -> list[T]:
        """Runs them.

        Raises:
            AdstreamError: As the first of the tasks raised it.
        """
        ...


def opened(spec: JobSpec) -> AbstractContextManager[SideBySide]:
    """A context in which tasks run on an engine.

    Args:
        spec: The engine, its options, how many run side by side, and a folder that all its machines see.

    Raises:
        AdstreamError: The engine runs no tasks or is not available, or an option is wrong.
    """
    pick("engine for tasks", spec.engine, ENGINES)
    require(spec.engine)
    context: AbstractContextManager[SideBySide] = import_module(f"common.engines.{spec.engine}.tasks").opened(spec)
    return context


def answered(task: Callable[[], T]) -> T | AdstreamError:
    """What a task gives, or how it failed."""
    try:
        return task()
    except AdstreamError as error:
        return error


def answers(found: Sequence[T | AdstreamError]) -> list[T]:
    """What tasks gave.

    Raises:
        AdstreamError: As the first of the tasks raised it.
    """
    given: list[T] = []
    for answer in found:
        if isinstance(answer, AdstreamError):
            raise answer
        given.append(answer)
    return given
