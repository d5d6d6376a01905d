"""Small arrivals, and one way to run them on any engine in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from common.contracts.contract import load
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.materialise import table

MINUTE = 60_000
START = 1_700_000_000_000
BAD_LINES = ("{", '{"key":null,"value":{"advertisementId":1,"createdEventTime":1}}', '{"key":"u1","value":null}')


@dataclass(frozen=True)
class Answer:
    """What a job left behind."""

    summary: Summary
    sessions: Any
    late: Any
    dead: Any

    @property
    def rows(self) -> tuple[Any, Any, Any]:
        """Everything that must not depend on the engine."""
        return self.sessions, self.late, self.dead


Submit = Callable[..., Answer]


def write_step(root: Path, name: str, records: Iterable[tuple[str, str]], streams: Iterable[str] = ()) -> None:
    """Writes the files of a step: JSON lines by stream; streams without lines get an empty file."""
    lines: dict[str, list[str]] = {stream: [] for stream in ("ad-views", "ad-clicks", *streams)}
    for stream, line in records:
        lines[stream].append(line)
    for stream, texts in lines.items():
        folder = root / stream
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jsonl").write_text("".join(text + "\n" for text in texts))


def record(stream: str, user: str, time: int, ad: int = 1) -> tuple[str, str]:
    """One line of a stream."""
    return stream, json.dumps({"key": user, "value": {"advertisementId": ad, "createdEventTime": time}})


def random_steps(seed: int, steps: int, events: int = 60) -> list[list[tuple[str, str]]]:
    """Steps with disorder, late events, redelivered events, bad lines, and now and then none at all."""
    rng = random.Random(seed)
    made: list[list[tuple[str, str]]] = []
    sent: list[tuple[str, str]] = []
    for step in range(steps):
        now = START + step * 20 * MINUTE
        batch: list[tuple[str, str]] = []
        for _ in range(0 if step % 7 == 5 else events):
            stream = rng.choice(["ad-views", "ad-clicks"])
            behind = rng.choice([0, 5, 30, 90, 200]) * MINUTE
            batch.append(
                record(stream, f"u{rng.randrange(12)}", now + rng.randrange(20 * MINUTE) - behind, rng.randrange(3))
            )
        batch += rng.sample(sent, min(len(sent), 5))
        batch += [(rng.choice(["ad-views", "ad-clicks"]), rng.choice(BAD_LINES)) for _ in range(2)]
        sent += batch
        made.append(batch)
    return made


def write_steps(root: Path, steps: Iterable[list[tuple[str, str]]], first: int = 0) -> Path:
    """Writes steps, numbered from `first`."""
    for number, records in enumerate(steps, first):
        write_step(root, f"{number:05d}", records)
    return root


def rows(output: Path, stream: str) -> list[str]:
    """All records of an event stream, in an order of their own."""
    found = []
    for path in sorted((output / stream).glob("*.jsonl")):
        found += path.read_text().splitlines()
    return sorted(found)


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Runs a job in this process: `submit(engine, input, mode=…, out=…, settings…)`."""
    base = JobSpec(
        job="sessions",
        engine="",
        mode="stream",
        input="",
        output="",
        checkpoint="",
        until_caught_up=True,
        settings={"buckets": 8, "parallelism": 2},
    )

    def run(
        engine: str,
        streams: Path,
        *,
        out: str = "",
        kept: str = "",
        options: dict[str, str] | None = None,
        **changes: Any,
    ) -> Answer:
        spec_fields = {
            name: changes.pop(name) for name in ("mode", "drain", "until_caught_up", "format") if name in changes
        }
        output = tmp_path / (out or f"{engine}-out")
        spec = replace(
            base,
            engine=engine,
            input=str(streams),
            output=str(output),
            checkpoint=str(tmp_path / (kept or f"{engine}-kept")),
            settings={**base.settings, **changes},
            options=options or {},
            **spec_fields,
        )
        summary = import_module(f"common.engines.{engine}.translate").run(spec)
        sessions = table(output, "ad-sessions", load("ad-sessions")).to_pylist()
        return Answer(summary, sessions, rows(output, "late-events"), rows(output, "dead-letters"))

    return run
