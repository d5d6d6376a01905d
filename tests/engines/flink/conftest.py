"""Small arrivals, and runs of them on Flink and on the local engine, each in a process of its own."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from common.contracts.contract import load
from common.engines.launch import launch
from common.engines.registry import available
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.materialise import table
from tests.running import kill, started

MINUTE = 60_000
START = 1_700_000_000_000
BAD = ("{", '{"key":null,"value":{"advertisementId":1,"createdEventTime":1}}', '{"key":"u1","value":null}')
STREAMS = ("ad-views", "ad-clicks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = available("flink")
    for item in items:
        if reason is not None and item.get_closest_marker("flink"):
            item.add_marker(pytest.mark.skip(reason=reason))


def write_steps(root: Path, steps: range, events: int = 60) -> Path:
    """Steps with disorder, late and redelivered events and bad lines; what a step holds depends on its number only."""
    for step in steps:
        rng = random.Random(step)
        for stream in STREAMS:
            lines = [rng.choice(BAD)]
            for _ in range(0 if step % 7 == 5 else events // 2):
                behind = rng.choice([0, 5, 30, 90, 200]) * MINUTE
                when = START + step * 20 * MINUTE + rng.randrange(20) * MINUTE - behind
                value = {"advertisementId": rng.randrange(3), "createdEventTime": when}
                lines += [json.dumps({"key": f"u{rng.randrange(12)}", "value": value})] * rng.choice([1, 1, 1, 2])
            folder = root / stream
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{step:05d}.jsonl").write_text("\n".join(lines) + "\n")
    return root


@dataclass(frozen=True)
class Answer:
    """What a job has left: all that must not depend on the engine."""

    sessions: list[Any]
    late: list[str]
    dead: list[str]


def answer(spec: JobSpec) -> Answer:
    """What lies in the output folder of a job."""
    output = Path(spec.output)
    sessions = table(output, "ad-sessions", load("ad-sessions")).to_pylist()
    return Answer(sessions, _records(output, "late-events"), _records(output, "dead-letters"))


def _records(output: Path, stream: str) -> list[str]:
    return sorted(line for path in (output / stream).glob("*.jsonl") for line in path.read_text().splitlines())


def run(spec: JobSpec) -> Summary:
    """Runs a job to its end."""
    return launch(spec, lambda _: None)


def end_on(engine: str, spec: JobSpec) -> JobSpec:
    """The spec for another engine, with an output and a checkpoint of its own."""
    return replace(spec, engine=engine, output=f"{spec.output}-{engine}", checkpoint=f"{spec.checkpoint}-{engine}")


def first_step(spec: JobSpec) -> int:
    """The first step that the last run of a job has taken, from its log."""
    found = re.search(r"step (\d+):", Path(spec.output, "_run", "engine.log").read_text())
    assert found is not None
    return int(found[1])


class Killed:
    """A run that is killed, with all its processes and without a warning."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec

    def when(self, steps: int, seconds: float = 60) -> int:
        """Kills the run once it has delivered some steps; gives how many it had delivered by then."""
        child = started(self._spec)
        try:
            for _ in _until(time.monotonic() + seconds):
                if self._native() and self._delivered() >= steps:
                    break
                assert child.poll() is None, f"ended by itself after {self._delivered()} steps"
        finally:
            kill(child)
        return self._delivered()

    def _delivered(self) -> int:
        return len({path.name.split(".")[0] for path in Path(self._spec.output, "dead-letters").glob("*.jsonl")})

    def _native(self) -> list[Path]:
        return list(Path(self._spec.checkpoint, "flink").glob("*/*/chk-*/_metadata"))


def _until(deadline: float) -> Iterator[None]:
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)
    raise AssertionError("the run has not come so far in time")


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    """A run of `sessions` in `stream` mode on Flink, over an input that is still to be written."""
    return JobSpec(
        job="sessions",
        engine="flink",
        mode="stream",
        input=str(tmp_path / "in"),
        output=str(tmp_path / "out"),
        checkpoint=str(tmp_path / "kept"),
        settings={"buckets": 8, "parallelism": 2},
        until_caught_up=True,
    )
