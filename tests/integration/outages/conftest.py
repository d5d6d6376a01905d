"""The job, its broker, and what it is given to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.runtime.spec import JobSpec
from common.streams.kafka import topics
from common.streams.kafka.address import Address
from common.streams.materialise import digest, table
from tests.integration.outages.job import GRACE, INPUTS, OUTPUTS, Job


@pytest.fixture
def empty(broker: Address) -> Address:
    """The broker, all streams of the job empty."""
    used = [topics.topic_of(load(stream)) for stream in (*INPUTS, *OUTPUTS)]
    topics.recreate(broker, [*used, *topics.internal_topics("sessions")])
    return broker


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events in disorder, with redeliveries."""
    folder = tmp_path_factory.mktemp("ads") / "streams"
    generate(GeneratorSettings(events=20_000, users=1_000, files=10, malformed=0.0), folder, "parquet")
    return folder


@pytest.fixture(scope="module")
def halves(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same events in two folders, the earlier files in the first: what is there before a job, and what comes then."""
    first, rest = (tmp_path_factory.mktemp("ads") / name for name in ("first", "rest"))
    for number, path in enumerate(sorted(ads.glob("*/*.parquet"), key=lambda path: path.name)):
        target = (first if number < 4 else rest) / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return first, rest


@pytest.fixture(scope="module")
def sessions(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the sessions of all events in one batch."""
    output = tmp_path_factory.mktemp("batch")
    settings = {"buckets": 8, "grace": GRACE}
    launch(JobSpec("sessions", "local", "batch", str(ads), str(output), str(output), settings=settings), lambda _: None)
    return digest(table(output, "ad-sessions", load("ad-sessions")))


@pytest.fixture
def job(empty: Address, tmp_path: Path) -> Job:
    """The job, which has not run yet."""
    return Job(empty, tmp_path / "out")
