"""A job that is killed at any moment, over a broker that goes on filling: each session once on the output."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.engines.registry import available
from common.runtime.spec import JobSpec
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.materialise import digest, settled, table
from tests.integration.conftest import committed, url
from tests.producing import produce_folder
from tests.running import each_engine, kill, started

pytestmark = pytest.mark.integration

SOURCES = ("ad-views", "ad-clicks")
SINKS = ("ad-sessions", "late-events", "dead-letters")
KILLS = 5
EVENTS = 300_000
RATE = 5_000
"""Events a second."""
# What is late depends on when the job happens to look, so nothing is: every event has its grace.
SETTINGS = {"buckets": 8, "grace": 30 * 86_400_000}
ALIVE = {"local": (1.5, 5.0), "spark": (12.0, 25.0), "flink": (10.0, 20.0), "beam": (4.0, 9.0)}
"""How many seconds a run lives before it is killed: from its start-up on."""


@pytest.fixture
def topics(broker: Address) -> Address:
    """The broker, all topics of the job empty."""
    recreate(broker, [*(topic_of(load(stream)) for stream in (*SOURCES, *SINKS)), *internal_topics("sessions")])
    return broker


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events with disorder and redeliveries."""
    folder = tmp_path_factory.mktemp("arrivals") / "streams"
    generate(GeneratorSettings(events=EVENTS, users=10_000, files=60, malformed=0.0), folder, "parquet")
    return folder


@pytest.mark.parametrize("engine", each_engine(pytest.mark.recovery))
@pytest.mark.timeout(600)
def test_killed_at_random_moments(engine: str, topics: Address, arrivals: Path, tmp_path: Path) -> None:
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    spec = _spec(engine, topics, tmp_path)
    producer = threading.Thread(target=produce_folder, args=(topics, arrivals, SOURCES, RATE))
    producer.start()
    killed = sum(_killed(spec, alive) for alive in _lifetimes(engine))
    producer.join()
    summary = launch(replace(spec, drain=True), lambda _: None)

    assert killed > 0
    assert summary.balanced
    written = list(committed(topics, "ad-sessions"))
    metrics = summary.metrics
    assert sum(part.num_rows for part in written) == metrics["sessions_upserted"] + metrics["sessions_retracted"]
    contract = load("ad-sessions")
    assert digest(settled(written, contract)) == _expected(arrivals, tmp_path)


def test_a_checkpoint_that_the_sink_has_outrun_is_refused(topics: Address, arrivals: Path, tmp_path: Path) -> None:
    produce_folder(topics, arrivals, SOURCES)
    launch(_spec("local", topics, tmp_path / "first"), lambda _: None)
    with pytest.raises(Exception, match="the sink has steps up to 0 of job 'sessions', but the checkpoint is at 0"):
        launch(_spec("local", topics, tmp_path / "second"), lambda _: None)


def _spec(engine: str, address: Address, folder: Path) -> JobSpec:
    return JobSpec(
        job="sessions",
        engine=engine,
        mode="stream",
        input=url(address),
        output=str(folder / "out"),
        checkpoint=str(folder / "checkpoint"),
        settings=SETTINGS,
        until_caught_up=True,
        sink=url(address),
    )


def _lifetimes(engine: str) -> Iterator[float]:
    chance = random.Random(1)
    return (chance.uniform(*ALIVE[engine]) for _ in range(KILLS))


def _killed(spec: JobSpec, alive: float) -> bool:
    """Starts a run and kills its processes after a while; tells whether it was still there."""
    run = started(spec, log=Path(spec.output, "killed.log"))
    try:
        run.wait(alive)
    except subprocess.TimeoutExpired:
        kill(run)
        return True
    return False


def _expected(arrivals: Path, folder: Path) -> str:
    """The digest of the sessions of all events at once."""
    output = folder / "expected"
    spec = JobSpec("sessions", "local", "batch", str(arrivals), str(output), str(output), settings=SETTINGS)
    launch(spec, lambda _: None)
    return digest(table(output, "ad-sessions", load("ad-sessions")))
