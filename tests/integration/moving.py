"""A job that is followed while it is moved and rescaled, over a broker or over a folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.contracts.contract import load
from common.runtime.metrics import Metrics
from common.runtime.summary import Summary
from common.streams.kafka.address import Address
from common.streams.kafka.source import KafkaSource
from common.streams.materialise import digest, settled, table
from tests.integration.conftest import Adstream, cli, committed, url
from tests.producing import produce_folder

INPUTS = ("ad-views", "ad-clicks")
SETTINGS = ("--set", "buckets=8", "--set", f"grace={30 * 86_400_000}")
"""What is late depends on when the job happens to look, so nothing is: every event has its grace."""
PATIENCE_SECONDS = 300.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """The job `sessions`, whose input comes in parts.

    Attributes:
        output: The folder of its runs.
        parts: What arrives, one folder after another.
        arrived: The folder that it reads; unused on a broker.
        broker: The broker that it reads and writes; None for folders.
    """

    output: Path
    parts: tuple[Path, ...]
    arrived: Path
    broker: Address | None

    @property
    def line(self) -> list[str]:
        place = url(self.broker) if self.broker else str(self.arrived)
        sink = ["--sink", place] if self.broker else []
        return ["run", "sessions", "--input", place, *sink, "--output", str(self.output), "--mode", "stream", *SETTINGS]

    @contextmanager
    def following(self, engine: str) -> Iterator[subprocess.Popen[bytes]]:
        """The job in a process of its own, until it is stopped."""
        with self.output.with_suffix(".log").open("wb") as log:
            run = subprocess.Popen(cli(*self.line, "--engine", engine), stdout=log, stderr=log, cwd=ROOT)
        try:
            yield run
        finally:
            if run.poll() is None:
                run.send_signal(signal.SIGTERM)
                run.wait(60)

    def arrive(self, number: int) -> None:
        """Lets a part arrive."""
        if self.broker:
            produce_folder(self.broker, self.parts[number], INPUTS)
            return
        for path in sorted(self.parts[number].glob("*/*")):
            target = self.arrived / path.parent.name / path.name
            shutil.copy(path, target.parent / f".{path.name}")
            (target.parent / f".{path.name}").replace(target)

    def takes_all(self, run: subprocess.Popen[bytes]) -> Metrics:
        """Waits until the job has taken all that has arrived; gives its numbers."""
        until(lambda: self._metrics.position.counts == self._ends() or run.poll() is not None, "all is taken")
        assert run.poll() is None, self.output.with_suffix(".log").read_text()
        return self._metrics

    def drained(self, adstream: Adstream, engine: str) -> Summary:
        """Lets the job emit all that is still open."""
        said = adstream(*self.line, "--engine", engine, "--drain")
        assert said.code == 0, said.err
        return Summary.load(self.output)

    def check(self, metrics: dict[str, int], wanted: str) -> None:
        """Each record was written once, and the table that they leave is the wanted one."""
        if self.broker is None:
            assert digest(table(self.output, "ad-sessions", load("ad-sessions"))) == wanted
            return
        written = list(committed(self.broker, "ad-sessions"))
        assert sum(part.num_rows for part in written) == metrics["sessions_upserted"] + metrics["sessions_retracted"]
        assert digest(settled(written, load("ad-sessions"))) == wanted

    @property
    def _metrics(self) -> Metrics:
        return Metrics.load(self.output / "_checkpoint")

    def _ends(self) -> dict[str, int]:
        if self.broker:
            return KafkaSource.at(self.broker, INPUTS).ends()
        return {stream: len(list((self.arrived / stream).glob("[!.]*"))) for stream in INPUTS}


def until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.5)
