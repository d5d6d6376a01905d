"""A job between two topics, followed while things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from common.contracts.contract import load
from common.operators.step import END
from common.runtime.checkpoint import Checkpoint
from common.runtime.summary import Summary
from common.services.process import load as record_of
from common.services.stack import Stack
from common.streams.kafka.address import Address
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.source import KafkaSource
from common.streams.materialise import digest, settled
from tests.integration.conftest import Adstream, Said, url

INPUTS = ("ad-views", "ad-clicks")
OUTPUTS = ("ad-sessions", "late-events", "dead-letters")
GRACE = 30 * 86_400_000
"""In ms: what is late depends on when the job happens to look, so nothing is."""
SETTINGS = ("--set", "buckets=8", "--set", f"grace={GRACE}")
PATIENCE_SECONDS = 90.0
NOBODY = "127.0.0.1:1"
LATE = {"stream": "ad-views", "value": "{}", "eventTime": 1, "watermark": 2, "grace": 0, "reason": "too late"}
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Job:
    """The job `sessions` from a broker to a broker."""

    broker: Address
    output: Path
    engine: str = "local"

    @property
    def line(self) -> list[str]:
        place = url(self.broker)
        where = ["--input", place, "--sink", place, "--output", str(self.output)]
        return ["run", "sessions", "--engine", self.engine, "--mode", "stream", *where, *SETTINGS]

    @contextmanager
    def following(self, *options: str) -> Iterator[Follower]:
        """The job in a process of its own, until it is stopped."""
        log = self.output.with_suffix(f".{time.monotonic_ns()}.log")
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "common.cli.main", *self.line, *options], stdout=file, stderr=file, cwd=ROOT
            )
        try:
            yield Follower(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_SECONDS)


@dataclass(frozen=True)
class Follower:
    """A job that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until it has said something."""
        until(lambda: text in self.said or self.process.poll() is not None, f"'{text}'", seconds)
        assert text in self.said, self.said

    def ends(self) -> int:
        """Waits for its end; gives the exit code."""
        return self.process.wait(PATIENCE_SECONDS)


def until(reached: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.2)


def errors(said: Said | Follower) -> list[str]:
    """The lines that say what is wrong; those of the services' start and of steps left out."""
    text = said.err if isinstance(said, Said) else said.said
    return [line for line in text.splitlines() if line.startswith("adstream: ")]


def restart(services: Stack, *names: str, kill: bool = False) -> None:
    """Stops services and starts them again, where they were."""
    for name in names:
        record = record_of(services.home / name)
        assert record is not None
        if kill:
            os.kill(record.pid, signal.SIGKILL)
    list(services.down(names))
    list(services.up(names))


def records(address: Address, stream: str) -> Iterator[pa.Table]:
    source = KafkaSource.at(address, (stream,))
    for split in source.everything(2**25):
        for decoded in read_kafka(split, load(stream), END):
            assert decoded.dead.num_rows == 0
            yield decoded.records


def check_written(address: Address, summary_metrics: dict[str, int], wanted: str) -> None:
    """Every session is on the topic as often as the job says that it wrote it, and the table is that of the batch."""
    written = list(records(address, "ad-sessions"))
    counted = summary_metrics["sessions_upserted"] + summary_metrics["sessions_retracted"]
    assert sum(part.num_rows for part in written) == counted
    assert digest(settled(written, load("ad-sessions"))) == wanted


def caught_up(job: Job) -> bool:
    """Whether the job has taken all that is in its input streams."""
    return taken(job.output / "_checkpoint") == KafkaSource.at(job.broker, INPUTS).ends()


def taken(checkpoint: Path) -> dict[str, int]:
    """The offset of each partition that is taken next; none before the first step."""
    manifest = Checkpoint(checkpoint).load()
    return dict(manifest.position.counts) if manifest else {}


def drained(job: Job, adstream: Adstream) -> dict[str, int]:
    """Lets the job emit all that is still open; gives its metrics."""
    said = adstream(*job.line, "--drain")
    assert said.code == 0, said.err
    return dict(Summary.load(job.output).metrics)
