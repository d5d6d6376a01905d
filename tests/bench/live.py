"""A job that follows live traffic on a broker, and who watches its output."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import Message, TopicPartition

from common.contracts.contract import load
from common.engines import registry
from common.engines.launch import save_spec
from common.runtime.run import now_ms
from common.runtime.spec import JobSpec
from common.services.stack import Stack
from common.streams.kafka import admin
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from tests.bench.inputs import FOLDER, STREAMS
from tests.bench.latency import SESSIONS, Sessions, closed, consumer_of, input_partitions, sessions_of
from tests.bench.measure import ROOT
from tests.bench.report import Latency
from tests.bench.sides import CORES

RATE = 5_000
USERS = 5_000
"""So each does one thing a second on average: with a gap of two seconds, a session has about seven events."""
GAP, OUT_OF_ORDERNESS = 2_000, 500
MEASURED_SECONDS = 60
WARM_SECONDS = 15
"""How long a job runs from its first session on before it is measured."""
START_SECONDS = 120
QUIET_SECONDS = 20
"""After how long without a session none is expected any more; a cold Flink job takes most of it."""
SINKS = (SESSIONS, "late-events", "dead-letters")


@contextmanager
def broker() -> Iterator[Address]:
    """A broker and a registry of the bench's own."""
    stack = Stack(FOLDER / "services")
    try:
        list(stack.up(["kafka", "registry"]))
        address = Address(stack.endpoint("kafka", "bootstrap"), stack.endpoint("registry", "url"))
        list(admin.create(address, ()))
        yield address
    finally:
        list(stack.down())


def followed(engine: str, address: Address) -> Latency:
    """Lets a job follow live traffic for a while; gives how long its sessions took.

    Args:
        engine: The engine.
        address: A broker that has every stream.
    """
    recreate(address, [*(topic_of(load(stream)) for stream in (*STREAMS, *SINKS)), *internal_topics("sessions")])
    logs = FOLDER / "live"
    with (
        _process(_producer(address), {}, logs / "producer.log") as producer,
        _watched(address) as seen,
        _process(*_command(engine, address), logs / f"{engine}.log"),
    ):
        if not _more(seen, 0, START_SECONDS):
            raise RuntimeError(f"engine '{engine}' gave no session in {START_SECONDS} s: see {logs}")
        time.sleep(WARM_SECONDS)
        start = now_ms()
        time.sleep(MEASURED_SECONDS)
        end, busy = now_ms(), os.getloadavg()[0]
        producer.send_signal(signal.SIGINT)
        producer.wait()
        while _more(seen, len(seen), QUIET_SECONDS):
            pass
    return _latency(engine, address, sessions_of(address, seen), (start, end), busy)


def _latency(engine: str, address: Address, sessions: Sessions, during: tuple[int, int], load: float) -> Latency:
    moments = closed(input_partitions(address, STREAMS), sessions.ends, OUT_OF_ORDERNESS)
    counted = (moments >= during[0]) & (moments < during[1])
    written, seen = ((times - moments)[counted] for times in (sessions.written, sessions.seen))
    return Latency(f"{engine}, {RATE:,} events/s", written, seen, load)


def _producer(address: Address) -> list[str]:
    quiet = {"bots": 0, "late": 0, "duplicates": 0, "malformed": 0}
    options = {"rate": RATE, "users": USERS, "disorder": f"{OUT_OF_ORDERNESS}ms", **quiet}
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "common.cli.main", "generate", "--to-kafka", _url(address), *given]


def _command(engine: str, address: Address) -> tuple[list[str], Mapping[str, str]]:
    """A job's command and its variables."""
    output = FOLDER / "live" / engine
    shutil.rmtree(output, ignore_errors=True)
    spec = JobSpec(
        job="sessions",
        engine=engine,
        mode="stream",
        input=_url(address),
        output=str(output),
        checkpoint=str(output / "_checkpoint"),
        settings={"gap": GAP, "grace": 0, "out_of_orderness": OUT_OF_ORDERNESS, "parallelism": CORES},
        sink=_url(address),
    )
    return registry.command(save_spec(spec), spec), registry.environment(spec)


@contextmanager
def _process(command: list[str], variables: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process while it is needed; what it says goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # engines have children
        )
    try:
        yield process
        if process.poll():
            raise RuntimeError(f"exit code {process.returncode}: see {log}")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _watched(address: Address) -> Iterator[list[tuple[Message, int]]]:
    """Fills a list with the output's records, each with the moment in which a reader had it (epoch ms)."""
    seen: list[tuple[Message, int]] = []
    ended = threading.Event()

    def read() -> None:
        consumer = consumer_of(address)
        consumer.assign([TopicPartition(SESSIONS, n, 0) for n in range(load(SESSIONS).meta.partitions)])
        while not ended.is_set():
            messages = consumer.consume(10_000, 0.01)
            seen.extend((message, now_ms()) for message in messages if message.error() is None)
        consumer.close()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _more(seen: list[tuple[Message, int]], than: int, seconds: float) -> bool:
    """Waits until more was seen; gives whether that was so in time."""
    deadline = time.monotonic() + seconds
    while len(seen) <= than:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _url(address: Address) -> str:
    return f"kafka://{address.bootstrap}?registry={address.registry}"
