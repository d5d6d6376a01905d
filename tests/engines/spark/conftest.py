"""One Spark session for all tests, small arrivals, and runs on any engine in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from common.contracts.contract import load
from common.engines.registry import available
from common.engines.spark.submit import environment, properties
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.materialise import table

MINUTE = 60_000
START = 1_700_000_000_000
BAD = ("{", '{"key":null,"value":{"advertisementId":1,"createdEventTime":1}}', '{"key":"u1","value":null}')
STREAMS = ("ad-views", "ad-clicks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = available("spark")
    for item in items:
        if reason is not None and item.get_closest_marker("spark"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The session that `translate.run` finds, with the properties that `submit` gives it."""
    sql = pytest.importorskip("pyspark.sql")
    output = tmp_path_factory.mktemp("spark")
    (output / "_run").mkdir()
    spec = JobSpec("sessions", "spark", "batch", str(output), str(output), str(output))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(spec).items():
            patch.setenv(name, value)
        builder = sql.SparkSession.builder.master("local[2]").config("spark.driver.memory", "1g")
        for name, value in properties(spec).items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    """A run of `sessions` in `stream` mode on Spark, over an input that is still to be written."""
    return JobSpec(
        job="sessions",
        engine="spark",
        mode="stream",
        input=str(tmp_path / "in"),
        output=str(tmp_path / "out"),
        checkpoint=str(tmp_path / "kept"),
        settings={"buckets": 8, "parallelism": 2},
        until_caught_up=True,
    )


def run(spec: JobSpec) -> Summary:
    """Runs a job to its end, on the engine it names, in this process."""
    return import_module(f"common.engines.{spec.engine}.translate").run(spec)


def beside(spec: JobSpec, engine: str = "local") -> JobSpec:
    """The same run on another engine, with an output and a checkpoint of its own."""
    return replace(spec, engine=engine, output=f"{spec.output}-{engine}", checkpoint=f"{spec.checkpoint}-{engine}")


def write(root: str, name: str, views: list[str], clicks: list[str]) -> None:
    """Writes a step: one file of lines a stream."""
    for stream, lines in zip(STREAMS, (views, clicks), strict=True):
        folder = Path(root, stream)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))


def line(user: str, minute: float, ad: int = 1) -> str:
    """A view or click, some minutes after `START`."""
    value = {"advertisementId": ad, "createdEventTime": START + int(minute * MINUTE)}
    return json.dumps({"key": user, "value": value})


def write_random(root: str, steps: range, events: int = 60) -> None:
    """Steps with disorder, late and redelivered events, bad lines, and now and then only these."""
    for step in steps:
        rng = random.Random(step)
        lines: list[list[str]] = []
        for _ in STREAMS:
            lines.append([rng.choice(BAD)])
            for _ in range(0 if step % 5 == 3 else events // 2):
                minute = step * 20 + rng.random() * 20 - rng.choice([0, 5, 30, 90, 200])
                lines[-1] += [line(f"u{rng.randrange(12)}", minute, rng.randrange(3))] * rng.choice([1, 1, 1, 2])
        write(root, f"{step:05d}", *lines)


@dataclass(frozen=True)
class Answer:
    """What a job has left: all that must not depend on the engine."""

    sessions: list[Any]
    late: list[Any]
    dead: list[Any]


def answer(spec: JobSpec) -> Answer:
    """What lies in the output folder of a job."""
    return Answer(*(table(spec.output, s, load(s)).to_pylist() for s in ("ad-sessions", "late-events", "dead-letters")))
