"""Plain tasks on the local engine: threads, as what they wait for, and Arrow, let others run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from common.engines.local.submit import check_options
from common.engines.tasks import SideBySide
from common.runtime.spec import JobSpec

T = TypeVar("T")


@contextmanager
def opened(spec: JobSpec) -> Iterator[SideBySide]:
    """A context with a pool of `spec.parallelism` threads."""
    check_options(spec)
    with ThreadPoolExecutor(spec.parallelism) as pool:

        def run(tasks: Sequence[Callable[[], T]], /) -> list[T]:
            return list(pool.map(lambda task: task(), tasks))

        yield run
