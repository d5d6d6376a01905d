"""What the tests of landing share: what arrives, a job that is killed meanwhile, and what must be in the tables."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.engines.launch import launch
from common.engines.registry import available
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.tables import care
from common.tables.place import TablePlace
from tests.running import killed_after, started

EVENTS, ENTITIES = "ad-clicks", "advertisements"
SETTINGS = {"streams": [EVENTS, ENTITIES], "partitions": {EVENTS: "createdEventTime"}, "buckets": 8}
KILLS = {"local": 5, "spark": 2, "flink": 2, "beam": 2}
FILES = 60
DAY = 86_400_000
ALIVE_SECONDS = 1.5
"""How long a run lives at most once it has delivered a step."""
PATIENCE_SECONDS = 240.0

Records = list[dict[str, Any]]


def arrivals(stream: str) -> list[Records]:
    """The records of each file: clicks with some that are late or came twice; entities that change and go."""
    chance, files = random.Random(7), []
    for number in range(FILES):
        if stream == EVENTS:
            times = (
                number * DAY // 20 - chance.choice([0, 0, 0, DAY]) + DAY + chance.randrange(1000) for _ in range(40)
            )
            values: Iterator[Any] = ({"advertisementId": chance.randrange(9), "createdEventTime": t} for t in times)
            files.append([{"key": f"user {chance.randrange(20)}", "value": value} for value in values])
        else:
            names = (None if chance.random() < 0.2 else f"ad {number}-{i}" for i in range(30))
            rows = ((chance.randrange(50), name) for name in names)
            files.append([{"key": k, "value": None if n is None else {"name": n, "type": "Pets"}} for k, n in rows])
    return files


class Arriving:
    """Files that appear in a folder, those of one stream not in step with those of the other.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._chance = folder, random.Random(8)
        self._waiting = {stream: list(enumerate(arrivals(stream))) for stream in (EVENTS, ENTITIES)}
        for stream in self._waiting:
            (folder / stream).mkdir(parents=True)

    def come(self, count: int, pause: float = 0.0) -> None:
        """Lets some files come, if there are so many, one after another."""
        for _ in range(min(count, sum(map(len, self._waiting.values())))):
            stream = self._chance.choice([stream for stream, files in self._waiting.items() if files])
            number, records = self._waiting[stream].pop(0)
            staged = self._folder / f"{stream}-{number}"
            staged.write_text("".join(json.dumps(record) + "\n" for record in records))
            staged.rename(self._folder / stream / f"{number:04d}.jsonl")
            time.sleep(pause)


def spec_of(engine: str, source: str, folder: Path, sink: str = "") -> JobSpec:
    return JobSpec(
        job="land",
        engine=engine,
        mode="stream",
        input=source,
        output=str(folder / "out"),
        checkpoint=str(folder / "checkpoint"),
        settings=SETTINGS,
        until_caught_up=engine == "beam",  # which can't follow a folder
        sink=sink,
    )


def killed(spec: JobSpec, alive: float) -> bool:
    """Starts a run and kills its processes a while after its first step; tells whether it was still there."""
    sink = Run.open(spec).sink
    before, deadline = sink.delivered(), time.monotonic() + PATIENCE_SECONDS
    run = started(spec, log=Path(spec.output, "killed.log"))
    while sink.delivered() == before and run.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return killed_after(run, alive)


def landed(engine: str, tmp_path: Path, sink: str = "") -> JobSpec:
    """A job that was killed while files came, and then caught up."""
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    chance, source = random.Random(3), tmp_path / "in"
    spec, files, kills = spec_of(engine, str(source), tmp_path, sink), Arriving(source), 0
    for _ in range(KILLS[engine]):
        files.come(10)
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(files.come, 10, 0.1)
            kills += killed(spec, chance.uniform(0.0, ALIVE_SECONDS))
            coming.result()
    files.come(2 * FILES)
    summary = launch(replace(spec, until_caught_up=True), lambda _: None)
    assert kills == KILLS[engine] or (spec.until_caught_up and kills > 0)
    assert summary.balanced and summary.metrics["records_in"] == sum(
        len(records) for stream in (EVENTS, ENTITIES) for records in arrivals(stream)
    )
    return spec


def as_rows(files: list[Records]) -> Counter[tuple[Any, ...]]:
    """What the first files leave in the table of their stream, as plain tuples."""
    records = [record for file in files for record in file]
    if records and records[0]["value"] is not None and "createdEventTime" in records[0]["value"]:
        values = ((r["key"], r["value"]["advertisementId"], r["value"]["createdEventTime"]) for r in records)
        return Counter(values)
    last = {record["key"]: record["value"] for record in records}
    return Counter((key, value["name"], value["type"]) for key, value in last.items() if value is not None)


def rows_of(table: pa.Table) -> Counter[tuple[Any, ...]]:
    """The rows of a table as plain tuples, times in ms, without the day that they are partitioned by."""
    rows = (tuple(row.values()) for row in table.drop_columns(_days(table)).to_pylist())
    return Counter(tuple(plain(value) for value in row) for row in rows)


def _days(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.endswith("_date")]


def plain(value: Any) -> Any:
    return round(value.timestamp() * 1000) if hasattr(value, "timestamp") else value


def check_every_version(place: TablePlace) -> None:
    """Checks the tables of a job that was killed: each row once, and each version what its steps had brought."""
    for stream in (EVENTS, ENTITIES):
        opened, files = care.table(place, stream), arrivals(stream)
        assert rows_of(care.whole(opened)) == as_rows(files)
        by_steps = [found for found in reversed(list(care.history(opened))) if found.step is not None]
        assert len(by_steps) == FILES  # each file is in one step, and each step in one version
        assert len({found.step for found in by_steps}) == FILES
        for count in range(1, FILES + 1, 7):
            then = care.at_version(care.table(place, stream), by_steps[count - 1].number, "")
            assert rows_of(care.whole(then)) == as_rows(files[:count])
