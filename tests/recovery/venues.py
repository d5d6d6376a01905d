"""Where a job runs while it is struck, and what can strike it there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.engines.registry import available
from tests.recovery import disk
from tests.recovery.disk import Disk
from tests.recovery.faults import ANYWHERE, Corrupt, Fault, PythonWorker, of_disk
from tests.recovery.place import Place, flink_options
from tests.recovery.standalone import FlinkStandalone, SparkStandalone, SparkStandby, SparkTwoHosts

ON_DISK = ("storage-away", "storage-read-only", "disk-full")


class Venue(Protocol):
    """A way to run an engine."""

    @property
    def name(self) -> str:
        """Its name in the table."""
        ...

    @property
    def engine(self) -> str:
        """The engine's name."""
        ...

    @property
    def steps(self) -> int:
        """How many steps a job should take here, so that there is time to strike it."""
        ...

    def faults(self) -> tuple[str, ...]:
        """What can be done here."""
        ...

    def unavailable(self) -> str | None:
        """Why it can't be had here; None when it can."""
        ...

    def opened(self, folder: Path, rng: random.Random) -> AbstractContextManager[Place]:
        """Sets it up below a folder, as a context."""
        ...


@dataclass(frozen=True)
class Alone:
    """An engine in processes of the job's own, on this machine."""

    engine: str
    steps: int
    extra: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.engine

    def faults(self) -> tuple[str, ...]:
        stored = () if disk.unavailable() else ON_DISK
        return (*ANYWHERE, *self.extra, *stored)

    def unavailable(self) -> str | None:
        return available(self.engine)

    @contextmanager
    def opened(self, folder: Path, rng: random.Random) -> Iterator[Place]:
        faults: dict[str, Fault] = {**ANYWHERE, "corrupt": Corrupt(), "python-worker": PythonWorker()}
        with ExitStack() as stack:
            if disk.unavailable() is None:
                own = stack.enter_context(Disk(folder / "disk", folder / "kept", folder / "output").mounted())
                faults |= of_disk(own)
            yield Place(faults, flink_options(rng) if self.engine == "flink" else {})


VENUES: Mapping[str, Venue] = {
    venue.name: venue
    for venue in (
        Alone("local", 250, ("corrupt",)),
        Alone("spark", 16, ("corrupt", "python-worker")),
        Alone("flink", 120),
        Alone("beam", 640),  # of which it saves each 64
        SparkStandalone(),
        SparkStandby(),
        SparkTwoHosts(),
        FlinkStandalone(),
    )
}
