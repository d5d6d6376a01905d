"""A job run again over its past, into a new stream beside the live one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.engines.registry import available
from common.runtime.spec import SPEC, JobSpec
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.materialise import digest, settled
from tests.integration.conftest import Adstream, committed
from tests.integration.moving import SETTINGS, Job

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

INPUTS = ("ad-views", "ad-clicks")
OUTPUTS = ("ad-sessions", "late-events", "dead-letters")
NEW = "ad-sessions-again"
NEWS = {"ad-sessions": NEW, "late-events": f"{NEW}-late-events", "dead-letters": f"{NEW}-dead-letters"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    ads = tmp_path_factory.mktemp("ads") / "streams"
    generate(GeneratorSettings(events=6_000, users=300, files=6, malformed=0.0), ads, "parquet")
    folders = tuple(tmp_path_factory.mktemp("part") for _ in range(3))
    for stream in INPUTS:
        for number, path in enumerate(sorted((ads / stream).iterdir())):
            (folders[number // 2] / stream).mkdir(exist_ok=True)
            path.rename(folders[number // 2] / stream / path.name)
    return folders


@pytest.fixture
def job(broker: Address, parts: tuple[Path, ...], tmp_path: Path) -> Job:
    topics = [topic_of(load(stream)) for stream in (*INPUTS, *OUTPUTS)]
    again = [replace(topic_of(load(stream)), name=name) for stream, name in NEWS.items()]
    internal = [*internal_topics("sessions"), *internal_topics(f"sessions.{NEW}")]
    recreate(broker, [*topics, *again, *internal])
    return Job(tmp_path / "out", parts, tmp_path / "in", broker)


def left(broker: Address, topic: str) -> str:
    """The digest of what a topic of sessions leaves."""
    return digest(settled(committed(broker, topic, "ad-sessions"), load("ad-sessions")))


@pytest.mark.parametrize("engine", ["local", pytest.param("spark", marks=(pytest.mark.recovery, pytest.mark.spark))])
def test_a_replay_is_compared_and_takes_the_place_of_the_live_job(
    engine: str, job: Job, broker: Address, adstream: Adstream
) -> None:
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    ended = (*job.line, "--engine", "local", "--until-caught-up")
    for number in (0, 1):
        job.arrive(number)
        assert adstream(*ended).code == 0
    live = left(broker, "ad-sessions")
    line = ("reprocess", "sessions", "--output", job.output, "--into", NEW, "--engine", engine)
    said = adstream(*line)
    assert said.code == 0, said.out + said.err
    assert f"'{NEW}' is the same as 'ad-sessions'" in said.out
    assert f"{NEW}-late-events" in said.out
    job.arrive(2)
    said = adstream(*line, "--switch")
    assert said.code == 0, said.out + said.err
    assert f"'{NEW}' takes the place of 'ad-sessions'" in said.out
    assert left(broker, "ad-sessions") == live, "the live stream stays as it is"
    assert adstream(*ended, "--drain").code == 0
    switched = JobSpec.load(job.output / "_reprocess" / NEW / SPEC)
    launch(replace(switched, drain=True, until_caught_up=True), lambda _: None)
    assert left(broker, NEW) == left(broker, "ad-sessions") != live


def test_another_gap_gives_another_stream_and_says_so(job: Job, broker: Address, adstream: Adstream) -> None:
    for number in (0, 1):  # after the first alone, all sessions are open
        job.arrive(number)
    assert adstream(*job.line, "--engine", "local", "--until-caught-up").code == 0
    line = ("reprocess", "sessions", "--output", job.output, "--into", NEW, "--set", "gap=5m")
    said = adstream(*line)
    assert said.code == 1
    assert "DIFFERENT" in said.out and f"{NEW} has" in said.out


def test_a_job_over_folders_is_refused(adstream: Adstream, parts: tuple[Path, ...], tmp_path: Path) -> None:
    place = ("--input", parts[0], "--output", tmp_path / "out", "--mode", "stream", "--until-caught-up", *SETTINGS)
    assert adstream("run", "sessions", "--engine", "local", *place).code == 0
    said = adstream("reprocess", "sessions", "--output", tmp_path / "out", "--into", NEW)
    assert said.code == 2 and "does not go from a broker to a broker" in said.err


def test_a_time_that_is_none_is_refused(job: Job, adstream: Adstream) -> None:
    job.arrive(0)
    assert adstream(*job.line, "--engine", "local", "--until-caught-up").code == 0
    said = adstream("reprocess", "sessions", "--output", job.output, "--into", NEW, "--from", "yesterday")
    assert said.code == 2 and "--from is 'yesterday'" in said.err
