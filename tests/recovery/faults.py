"""What can befall a job: each fault does its harm, undoes what a machine's owner would, and leaves the rest to the job."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import psutil

from common.runtime.checkpoint import MANIFEST, Checkpoint
from common.streams.staging import step_name
from tests.recovery.disk import Disk
from tests.recovery.job import PATIENCE_SECONDS, Job, RecoveryError

OUTAGE = (0.5, 3.0)
"""How many seconds something is away."""
CUT = (2.0, 25.0)
PYTHON_WORKERS = ("pyspark.daemon", "pyspark/daemon", "pyspark.worker", "pyflink.fn_execution", "beam_boot")


class Fault(Protocol):
    """One kind of harm."""

    def strike(self, job: Job, rng: random.Random) -> None:
        """Does it; returns once all is over that the job can't mend by itself.

        Args:
            job: The job, which runs.
            rng: Decides whatever is left open.

        Raises:
            RecoveryError: The job went on where it must not.
        """
        ...


@dataclass(frozen=True)
class Machine:
    """Everything dies at once, as when the machine loses its power."""

    def strike(self, job: Job, rng: random.Random) -> None:
        job.kill()


@dataclass(frozen=True)
class Submitter:
    """The process that submitted the job is killed; the engine's own goes on without it."""

    def strike(self, job: Job, rng: random.Random) -> None:
        _kill(job.processes()[:1])
        job.gone()


@dataclass(frozen=True)
class Driver:
    """The engine's main process is killed; what it had started is left alone."""

    def strike(self, job: Job, rng: random.Random) -> None:
        _kill(_awaited(job, lambda: job.processes()[1:2], "an engine's process"))
        job.gone()


@dataclass(frozen=True)
class PythonWorker:
    """One of the Python processes that step buckets is killed.

    Attributes:
        among: Gives the processes to look among.
    """

    among: Callable[[Job], list[psutil.Process]] = Job.processes

    def strike(self, job: Job, rng: random.Random) -> None:
        _kill(_one(rng, _awaited(job, lambda: _python_workers(self.among(job)), "a Python worker")))


@dataclass(frozen=True)
class Rescale:
    """The job is asked to stop; the schedule lets it go on at another parallelism."""

    def strike(self, job: Job, rng: random.Random) -> None:
        job.interrupt()


@dataclass(frozen=True)
class Torn:
    """All dies while a checkpoint is written: halves of files lie about that no manifest names."""

    def strike(self, job: Job, rng: random.Random) -> None:
        job.kill()
        manifest = job.checkpoint / MANIFEST
        whole = manifest.read_bytes() if manifest.exists() else b'{"layout": 2, "job"'
        (job.checkpoint / f"{MANIFEST}.new").write_bytes(whole[: rng.randrange(len(whole))])
        _halves(job.checkpoint / "state" / step_name(job.saved), "00000.sessions.parquet", "00001.other.arrow")
        _halves(job.output / "_staging" / "ad-sessions", f"{step_name(job.saved)}.r0.0123456789ab.jsonl")
        # Flink has a folder of its own a job, named by it; beside these lie files of the suite.
        for native in filter(Path.is_dir, (job.checkpoint / "flink").glob("*/*")):
            _halves(native / "chk-999999", "0b7a0f1c")


@dataclass(frozen=True)
class Corrupt:
    """A file of the checkpoint is damaged: the job must refuse to go on, until it is put back."""

    def strike(self, job: Job, rng: random.Random) -> None:
        job.kill()
        victim = rng.choice([job.checkpoint / MANIFEST, *_state_files(job)])
        kept = victim.with_name(f".{victim.name}.kept")
        victim.rename(kept)
        victim.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
        job.start()
        said = job.refused()
        if "checkpoint" not in said and victim.name not in said:
            raise RecoveryError(f"'{victim}' is damaged, but the job says: {said}")
        kept.replace(victim)


@dataclass(frozen=True)
class Away:
    """The storage of the checkpoint is not there for a while: an empty folder is in its place. Then all dies.

    What was kept must not rest on what went to that folder, which is hidden by then.
    """

    disk: Disk

    def strike(self, job: Job, rng: random.Random) -> None:
        self.disk.detach()
        time.sleep(rng.uniform(*OUTAGE))
        self.disk.attach()
        job.reach(job.saved + 1)
        job.kill()
        if missing := [path for path in _state_files(job) if not path.exists()]:
            raise RecoveryError(f"the manifest of step {job.saved} names files that are not there: {missing[:3]}")


@dataclass(frozen=True)
class ReadOnly:
    """The storage of the checkpoint takes no writes for a while."""

    disk: Disk

    def strike(self, job: Job, rng: random.Random) -> None:
        self.disk.writable(False)
        time.sleep(rng.uniform(*OUTAGE))
        self.disk.writable(True)


@dataclass(frozen=True)
class Full:
    """The disk of checkpoint and output is full for a while."""

    disk: Disk

    def strike(self, job: Job, rng: random.Random) -> None:
        with self.disk.full():
            time.sleep(rng.uniform(*OUTAGE))


@dataclass(frozen=True)
class Restarted:
    """A process of the cluster is killed, and comes back after a while.

    Attributes:
        kill: Kills it.
        start: Brings it back.
    """

    kill: Callable[[random.Random], object]
    start: Callable[[], object]

    def strike(self, job: Job, rng: random.Random) -> None:
        self.kill(rng)
        time.sleep(rng.uniform(*OUTAGE))
        self.start()


@dataclass(frozen=True)
class Killed:
    """A process of the cluster is killed, which somebody else brings back.

    Attributes:
        among: Gives those of its kind.
        what: What they are.
    """

    among: Callable[[], list[psutil.Process]]
    what: str

    def strike(self, job: Job, rng: random.Random) -> None:
        _kill(_one(rng, _awaited(job, self.among, self.what)))


@dataclass(frozen=True)
class Cut:
    """The cable between two hosts is pulled for a while, for long enough that each takes the other for dead.

    Attributes:
        connected: Plugs it in, or pulls it.
    """

    connected: Callable[[bool], object]

    def strike(self, job: Job, rng: random.Random) -> None:
        self.connected(False)
        time.sleep(rng.uniform(*CUT))
        self.connected(True)


ANYWHERE: Mapping[str, Fault] = MappingProxyType(
    {"machine": Machine(), "submitter": Submitter(), "driver": Driver(), "rescale": Rescale(), "torn": Torn()}
)
"""Faults of any engine."""


def of_disk(disk: Disk) -> dict[str, Fault]:
    """Faults of the storage."""
    return {"storage-away": Away(disk), "storage-read-only": ReadOnly(disk), "disk-full": Full(disk)}


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _awaited(job: Job, found: Callable[[], list[psutil.Process]], what: str) -> list[psutil.Process]:
    """What is found, once something is; nothing if the job is done before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (processes := found()) and not job.ended():
        if time.monotonic() > deadline:
            raise RecoveryError(f"there is never {what}")
        time.sleep(0.05)
    return processes


def _one(rng: random.Random, processes: list[psutil.Process]) -> list[psutil.Process]:
    return [rng.choice(processes)] if processes else []


def _python_workers(processes: list[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if any(name in " ".join(process.cmdline()) for name in PYTHON_WORKERS):
                found.append(process)
    return found


def _state_files(job: Job) -> list[Path]:
    manifest = Checkpoint(job.checkpoint).load()
    return [job.checkpoint / path for path in manifest.files()] if manifest else []


def _halves(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(os.urandom(64))
