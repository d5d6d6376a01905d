"""A live job that goes from engine to engine, and from one number of tasks to another, with sessions open."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.engines.registry import available
from common.runtime.checkpoint import Checkpoint
from common.runtime.spec import JobSpec
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.materialise import digest, table
from tests.integration.conftest import Adstream
from tests.integration.moving import INPUTS, Job

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

PARTS = 4
OUTPUTS = ("ad-sessions", "late-events", "dead-letters")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Events in disorder, with redeliveries, in parts that follow one another."""
    ads = tmp_path_factory.mktemp("ads") / "streams"
    generate(GeneratorSettings(events=8_000, users=300, files=2 * PARTS, malformed=0.0), ads, "parquet")
    folders = tuple(tmp_path_factory.mktemp("part") for _ in range(PARTS))
    for stream in INPUTS:
        for number, path in enumerate(sorted((ads / stream).iterdir())):
            (folders[number // 2] / stream).mkdir(exist_ok=True)
            path.rename(folders[number // 2] / stream / path.name)
    return folders


@pytest.fixture(scope="module")
def sessions(parts: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the sessions of all events in one batch."""
    whole, output = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("batch")
    for path in (file for part in parts for file in part.glob("*/*")):
        (whole / path.parent.name).mkdir(exist_ok=True)
        (whole / path.parent.name / path.name).symlink_to(path)
    settings = {"buckets": 8, "grace": 30 * 86_400_000}
    spec = JobSpec("sessions", "local", "batch", str(whole), str(output), str(output), settings=settings)
    launch(spec, lambda _: None)
    return digest(table(output, "ad-sessions", load("ad-sessions")))


@pytest.fixture(params=["broker", "folder"])
def job(request: pytest.FixtureRequest, parts: tuple[Path, ...], tmp_path: Path) -> Job:
    """The job, over empty streams."""
    arrived = tmp_path / "in"
    for stream in INPUTS:
        (arrived / stream).mkdir(parents=True)
    broker = None
    if request.param == "broker":
        broker = request.getfixturevalue("broker")
        recreate(broker, [*(topic_of(load(s)) for s in (*INPUTS, *OUTPUTS)), *internal_topics("sessions")])
    return Job(tmp_path / "out", parts, arrived, broker)


@pytest.mark.parametrize(
    "engines",
    [
        pytest.param(
            ("spark", "flink", "local", "spark"), marks=(pytest.mark.recovery, pytest.mark.spark, pytest.mark.flink)
        )
    ],
)
def test_a_live_job_moves_from_engine_to_engine(
    engines: tuple[str, ...], job: Job, sessions: str, adstream: Adstream
) -> None:
    _require(*engines)
    with job.following(engines[0]) as run:
        for number, engine in enumerate(engines):
            if number:
                said = adstream("move", "sessions", "--output", job.output, "--to", engine)
                assert said.code == 0, said.err
                assert f"goes on on {engine}" in said.out
            job.arrive(number)
            assert job.takes_all(run).gauges["sessions_open"] > 0
        said = adstream("stop", "sessions", "--output", job.output)
        assert said.code == 0, said.err
        assert run.wait(60) == 0
    _verified(job, adstream)
    job.check(dict(job.drained(adstream, "beam").metrics), sessions)


@pytest.mark.parametrize(
    "engine",
    [
        "local",
        pytest.param("spark", marks=(pytest.mark.recovery, pytest.mark.spark)),
        pytest.param("flink", marks=(pytest.mark.recovery, pytest.mark.flink)),
    ],
)
def test_a_live_job_is_rescaled(engine: str, job: Job, sessions: str, adstream: Adstream) -> None:
    _require(engine)
    with job.following(engine) as run:
        for number, parallelism in enumerate((None, 4, 1, 3)):
            if parallelism:
                said = adstream("scale", "sessions", "--output", job.output, "--parallelism", parallelism)
                assert said.code == 0, said.err
                assert f"with parallelism {parallelism}" in said.out
            job.arrive(number)
            assert job.takes_all(run).gauges["sessions_open"] > 0
        assert adstream("stop", "sessions", "--output", job.output).code == 0
        assert run.wait(60) == 0
    _verified(job, adstream)
    job.check(dict(job.drained(adstream, engine).metrics), sessions)


def _require(*engines: str) -> None:
    for engine in engines:
        if (reason := available(engine)) is not None:
            pytest.skip(reason)


def _verified(job: Job, adstream: Adstream) -> None:
    """What a stopped job has saved is whole, and is all that it has taken."""
    assert adstream("checkpoints", "verify", "sessions", "--output", job.output).code == 0
    kept = Checkpoint(job.output / "_checkpoint").load()
    assert kept is not None
    assert kept.position.counts == job._ends()
