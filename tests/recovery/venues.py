"""Where a job runs while it is struck, and what can strike it there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from common.engines.registry import available
from tests.recovery import disk
from tests.recovery.disk import Disk
from tests.recovery.faults import ANYWHERE, Corrupt, Fault, PythonWorker, of_disk

ON_DISK = ("storage-away", "storage-read-only", "disk-full")


@dataclass(frozen=True)
class Place:
    """A venue that is set up.

    Attributes:
        faults: What can be done here, by name.
        options: The engine's options.
        prefix: What stands before a job's command.
    """

    faults: Mapping[str, Fault]
    options: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()


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

    def opened(self, folder: Path, rng: random.Random) -> Iterator[Place]:
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
            yield Place(faults, _options(self.engine, rng))


def _options(engine: str, rng: random.Random) -> dict[str, str]:
    if engine != "flink":
        return {}
    return {
        "execution.checkpointing.interval": "200 ms",
        "execution.checkpointing.min-pause": "50 ms",
        "state.backend.type": rng.choice(["hashmap", "rocksdb"]),
        "python.execution-mode": rng.choice(["thread", "process"]),
    }


VENUES: Mapping[str, Venue] = {
    venue.name: venue
    for venue in (
        Alone("local", 150, ("corrupt",)),
        Alone("spark", 60, ("corrupt", "python-worker")),
        Alone("flink", 200),
        Alone("beam", 200),
    )
}
