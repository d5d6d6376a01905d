"""What a run of a job tells of itself, to whoever keeps the lineage of a platform: OpenLineage's events.

The process that submits a job tells, so every engine is served alike, and no engine knows of it. Where events go is
OpenLineage's own configuration (`OPENLINEAGE_URL`, `OPENLINEAGE_CONFIG`, `openlineage.yml`); without one nothing is told,
and its client is not loaded. What is wrong with a receiver is said in a line, and is never the job's concern.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from common.contracts.contract import Contract, load
from common.lineage.collect import job_of
from common.lineage.graph import Job
from common.runtime.spec import JobSpec
from common.storage import is_remote
from common.streams.source import BROKER
from common.tables.layout import sql_name
from common.topology.graph import tables

State = Literal["START", "COMPLETE", "FAIL", "ABORT"]
FILE = "openlineage.yml"
PATIENCE_SECONDS = 10.0
"""How long the end of a run waits for its last events to be taken."""

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Dataset:
    """Something that a run reads or writes, named as OpenLineage names it ("Dataset Naming").

    Attributes:
        namespace: Where it is: `kafka://HOST:PORT`, `file`, `postgres://HOST:PORT`.
        name: Its name there: a topic, a folder, a table.
        contract: What its records look like; None for a table.
    """

    namespace: str
    name: str
    contract: Contract | None = None


@dataclass(frozen=True)
class Run:
    """A run of a job.

    Attributes:
        job: The job.
        engine: What it runs on; `adstream` for what needs no engine.
        streaming: Whether it goes on for ever, or goes on where it was.
        inputs: What it reads.
        outputs: What it writes.
    """

    job: Job
    engine: str
    streaming: bool
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]


class Teller(Protocol):
    """What `common.lineage.openlineage.Teller` does; it is loaded only where it is wanted."""

    def tell(self, state: State, reason: str = "") -> None:
        """Sends one event, and waits until it was taken or refused."""
        ...


def run_of(spec: JobSpec) -> Run:
    """A run that the command line submits to an engine."""
    topology = spec.topology()
    job, target = job_of(topology), spec.sink or spec.output
    written = tuple(tables(topology)) or (*job.writes, job.dead_letters)
    return Run(
        job=job,
        engine=spec.engine,
        streaming=spec.mode == "stream",
        inputs=tuple(dataset(spec.input, stream) for stream in job.reads),
        outputs=tuple(
            table(target, sql_name(stream)) if spec.in_database else dataset(target, stream) for stream in written
        ),
    )


def dataset(place: str, stream: str) -> Dataset:
    """A stream on a broker, in a folder, or in an object store.

    Args:
        place: The broker's address, the folder's absolute path, or `s3://BUCKET/PATH`; what follows a `?` is not told.
        stream: The stream.
    """
    if place.startswith(BROKER):
        return Dataset(f"{BROKER}{urlsplit(place).netloc.partition(',')[0]}", stream, load(stream))
    if is_remote(place):
        url = urlsplit(place)
        return Dataset(f"{url.scheme}://{url.netloc}", f"{url.path.strip('/')}/{stream}".lstrip("/"), load(stream))
    return Dataset("file", str(Path(place) / stream), load(stream))


def table(database: str, name: str) -> Dataset:
    """A table of a PostgreSQL database.

    Args:
        database: `postgresql://USER@HOST:PORT/NAME`; only host, port and name are told.
        name: The table, or what else is read.
    """
    parts = urlsplit(database)
    schema = name if "." in name else f"public.{name}"
    return Dataset(f"postgres://{parts.hostname}:{parts.port or 5432}", f"{parts.path.strip('/')}.{schema}")


def configured(environment: Mapping[str, str], folder: Path, home: Path) -> bool:
    """Whether OpenLineage's client would find where to send events (OpenLineage, "Python client, Configuration").

    Args:
        environment: The variables of the process.
        folder: Its working folder.
        home: The user's home.
    """
    if environment.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    named = {"OPENLINEAGE_URL", "OPENLINEAGE_CONFIG"} & {name for name, value in environment.items() if value}
    nested = any(name.startswith("OPENLINEAGE__") for name in environment)
    return bool(named) or nested or (folder / FILE).is_file() or (home / ".openlineage" / FILE).is_file()


@contextmanager
def told(run: Callable[[], Run], warn: Warn) -> Iterator[None]:
    """Tells the start and the end of what is done in the context, if anybody wants to know.

    Args:
        run: Gives the run; called only if it is wanted.
        warn: Says in a line what a receiver did not take.
    """
    if not configured(os.environ, Path.cwd(), Path.home()):
        yield
        return
    mail = Mail(lambda: import_module("common.lineage.openlineage").Teller(run()), warn)
    mail.send("START")
    try:
        yield
    except KeyboardInterrupt:
        mail.send("ABORT")
        raise
    except BaseException as error:
        mail.send("FAIL", " ".join(str(error).split()))
        raise
    else:
        mail.send("COMPLETE")
    finally:
        mail.close()


class Mail:
    """Events on their way, in a thread of their own: a receiver that is slow or away keeps no job waiting.

    Args:
        teller: Makes what sends them, in that thread.
        warn: Says in a line what was not taken; of several failures in a row the first.
        patience: How many seconds `close` waits.
    """

    def __init__(self, teller: Callable[[], Teller], warn: Warn, patience: float = PATIENCE_SECONDS) -> None:
        self._teller = teller
        self._warn = warn
        self._patience = patience
        self._waiting: queue.SimpleQueue[tuple[State, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="lineage", daemon=True)
        self._thread.start()

    def send(self, state: State, reason: str = "") -> None:
        """Puts an event on its way."""
        self._waiting.put((state, reason))

    def close(self) -> None:
        """Waits until all events were taken or refused, but not for long."""
        self._waiting.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            self._warn(f"lineage: the receiver has not answered for {self._patience:.0f} s; its last events are lost")

    def _deliver(self) -> None:
        teller: Teller | None = None
        failed = False
        while (event := self._waiting.get()) is not None:
            try:
                teller = teller or self._teller()
                teller.tell(*event)
                failed = False
            except Exception as error:  # noqa: BLE001 whatever a receiver does, the job goes on
                if not failed:
                    self._warn(f"lineage: {event[0]} was not taken ({_reason(error)}); the job goes on without it")
                failed = True


def _reason(error: Exception) -> str:
    """What is wrong, on one line."""
    missing: Any = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and str(missing).startswith("openlineage"):
        return "openlineage-python is not installed: uv sync --extra lineage"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
