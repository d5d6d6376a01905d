"""Streams landed in tables by a job that is killed at any moment: each row once, in Delta and in PostgreSQL."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.engines.launch import launch, save_spec
from common.engines.registry import available, command, environment
from common.errors import AdstreamError
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.services.stack import Stack
from common.streams.kafka.address import Address
from common.streams.kafka.producer import produce_folder
from common.streams.kafka.topics import recreate, topic_of
from common.tables import care
from common.tables.place import TablePlace
from tests.integration.conftest import Adstream, execute, url
from tests.running import each_engine

pytestmark = pytest.mark.integration

EVENTS, ENTITIES = "ad-clicks", "advertisements"
SETTINGS = {"streams": [EVENTS, ENTITIES], "partitions": {EVENTS: "createdEventTime"}, "buckets": 8}
KILLS = {"local": 5, "spark": 2, "flink": 2, "beam": 2}
FILES = 60
DAY = 86_400_000
ALIVE_SECONDS = 1.5
"""How long a run lives at most once it has delivered a step."""
PATIENCE_SECONDS = 240.0
ENGINES = each_engine(pytest.mark.recovery)

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
    path, sink = save_spec(spec), Run.open(spec).sink
    before, deadline = sink.delivered(), time.monotonic() + PATIENCE_SECONDS
    with Path(spec.output, "killed.log").open("ab") as log:
        run = subprocess.Popen(
            command(path, spec),
            env={**os.environ, **environment(spec)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while sink.delivered() == before and run.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    try:
        run.wait(alive)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return True
    return False


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
    return Counter(tuple(_plain(value) for value in row) for row in rows)


def _days(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.endswith("_date")]


def _plain(value: Any) -> Any:
    return round(value.timestamp() * 1000) if hasattr(value, "timestamp") else value


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.timeout(900)
def test_delta_tables_hold_each_row_once_and_every_version_of_them_is_true(engine: str, tmp_path: Path) -> None:
    spec = landed(engine, tmp_path)
    for stream in (EVENTS, ENTITIES):
        opened, files = care.table(TablePlace(spec.output), stream), arrivals(stream)
        assert rows_of(care.whole(opened)) == as_rows(files)
        by_steps = [found for found in reversed(list(care.history(opened))) if found.step is not None]
        assert len(by_steps) == FILES  # each file is in one step, and each step in one version
        assert len({found.step for found in by_steps}) == FILES
        for count in range(1, FILES + 1, 7):
            then = care.at_version(care.table(TablePlace(spec.output), stream), by_steps[count - 1].number, "")
            assert rows_of(care.whole(then)) == as_rows(files[:count])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.timeout(900)
def test_a_database_holds_each_row_once(engine: str, database: str, tmp_path: Path) -> None:
    landed(engine, tmp_path, database)
    with psycopg.connect(database) as connection:
        clicks = connection.execute('SELECT key, "advertisementId", "createdEventTime" FROM ad_clicks').fetchall()
        ads = connection.execute("SELECT key, name, type FROM advertisements").fetchall()
    assert Counter(tuple(map(_plain, row)) for row in clicks) == as_rows(arrivals(EVENTS))
    assert Counter(ads) == as_rows(arrivals(ENTITIES))


@pytest.fixture
def topics(broker: Address, tmp_path: Path) -> Address:
    """The broker, with all files as records."""
    recreate(broker, [topic_of(load(stream)) for stream in (EVENTS, ENTITIES)])
    Arriving(tmp_path / "in").come(2 * FILES)
    produce_folder(broker, tmp_path / "in", (EVENTS, ENTITIES))
    return broker


def test_streams_of_a_broker_are_landed(topics: Address, database: str, tmp_path: Path) -> None:
    for sink in ("", database):
        folder = tmp_path / ("database" if sink else "delta")
        launch(replace(spec_of("local", url(topics), folder, sink), until_caught_up=True), lambda _: None)
    for stream in (EVENTS, ENTITIES):
        opened = care.table(TablePlace(str(tmp_path / "delta" / "out")), stream)
        assert rows_of(care.whole(opened)) == as_rows(arrivals(stream))
    with psycopg.connect(database) as connection:
        assert Counter(connection.execute("SELECT * FROM advertisements").fetchall()) == as_rows(arrivals(ENTITIES))


@pytest.mark.timeout(600)
def test_a_database_that_is_restarted_in_the_middle_is_waited_for(
    services: Stack, database: str, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    files = Arriving(source)
    files.come(30)
    spec = spec_of("local", str(source), tmp_path, database)
    path = save_spec(spec)
    job = subprocess.Popen(
        command(path, spec), env={**os.environ, **environment(spec)}, stderr=subprocess.PIPE, text=True
    )
    while not _has_table(database):
        time.sleep(0.2)
    list(services.down(["postgres"]))
    files.come(2 * FILES)
    time.sleep(3.0)
    list(services.up(["postgres"]))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _has_all(database):
        assert time.monotonic() < deadline and job.poll() is None
        time.sleep(0.5)
    job.terminate()
    _, err = job.communicate(timeout=60)
    assert "trying again for up to 2m" in err and "it is served again after" in err


def _has_table(database: str) -> bool:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT to_regclass('ad_clicks') IS NOT NULL").fetchone()
    return row is not None and row[0]


def _has_all(database: str) -> bool:
    with psycopg.connect(database) as connection:
        ads = connection.execute("SELECT key, name, type FROM advertisements").fetchall()
        clicks = connection.execute("SELECT key FROM ad_clicks").fetchall()
    return len(clicks) == as_rows(arrivals(EVENTS)).total() and Counter(ads) == as_rows(arrivals(ENTITIES))


def run_of(source: Path, folder: Path, *others: object) -> tuple[object, ...]:
    """The command line of a job that lands what there is."""
    into = ("--output", folder / "out", "--mode", "stream", "--until-caught-up", "--set", "buckets=4")
    return ("run", "land", "--engine", "local", "--input", source, *into, "--set", f"streams={ENTITIES}", *others)


@pytest.fixture
def advertisements(tmp_path: Path) -> Path:
    """A folder with a file of advertisements."""
    write(tmp_path / "in", 0, arrivals(ENTITIES)[0])
    return tmp_path / "in"


def write(source: Path, number: int, records: Records) -> None:
    path = source / ENTITIES / f"{number:04d}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_second_copy_of_the_job_fences_the_first(database: str, advertisements: Path, tmp_path: Path) -> None:
    specs = (spec_of("local", str(advertisements), tmp_path / name, database) for name in ("a", "b"))
    first, second = (Run.open(replace(spec, settings={"streams": [ENTITIES]})) for spec in specs)
    first.sink.recover("000000000")
    second.sink.recover("000000000")
    second.sink.deliver("000000000", [])
    with pytest.raises(AdstreamError, match="another run of this job has taken over: stop one of the two"):
        first.sink.deliver("000000001", [])


def test_a_table_of_somebody_else_is_never_touched(
    database: str, advertisements: Path, adstream: Adstream, tmp_path: Path
) -> None:
    execute(database, "CREATE TABLE advertisements (key bigint)", "INSERT INTO advertisements VALUES (1)")
    line = "the table 'advertisements' is not one that job 'land' made: rename it, or land into another database"
    for others in ((), ("--overwrite",)):
        said = adstream(*run_of(advertisements, tmp_path, "--sink", database, *others))
        assert said.code == 2 and line in said.err
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT * FROM advertisements").fetchall() == [(1,)]


def test_a_column_of_another_type_is_refused_in_one_line(
    database: str, advertisements: Path, adstream: Adstream, tmp_path: Path
) -> None:
    arguments = run_of(advertisements, tmp_path, "--sink", database)
    assert adstream(*arguments).code == 0
    execute(database, "ALTER TABLE advertisements ALTER key TYPE integer", "ALTER TABLE advertisements DROP type")
    write(advertisements, 1, [{"key": 1, "value": {"name": "new", "type": "Pets"}}])
    said = adstream(*arguments)
    assert said.code == 2
    assert "table 'advertisements' at 127.0.0.1:" in said.err
    assert "/shop, column 'key': it is integer, but bigint in the contract: give the field a new name in" in said.err
    execute(database, "ALTER TABLE advertisements ALTER key TYPE bigint")
    assert adstream(*arguments).code == 0  # the column that was dropped is there again, null in old rows
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT type, count(*) FROM advertisements GROUP BY 1 ORDER BY 1").fetchall()
    assert rows[0] == ("Pets", 1) and rows[1][0] is None


def test_tables_can_begin_anew(database: str, advertisements: Path, adstream: Adstream, tmp_path: Path) -> None:
    for others in (("--sink", database), ()):
        folder = tmp_path / ("database" if others else "delta")
        arguments = run_of(advertisements, folder, *others)
        assert adstream(*arguments).code == 0
        output = ("--output", folder / "out")
        said = adstream("reset", "land", *output, "--yes")
        assert said.code == 2 and "add --outputs, which drops them" in said.err
        assert adstream("reset", "land", *output, "--yes", "--outputs").code == 0
        assert adstream(*arguments).code == 0
        (folder / "out" / "_checkpoint" / "manifest.json").unlink()
        said = adstream(*arguments)
        assert said.code == 2 and "the sink has steps up to 0 of job 'land', but the checkpoint is at 0" in said.err
        assert adstream(*arguments, "--overwrite").code == 0
    assert rows_of(care.whole(care.table(TablePlace(str(folder / "out")), ENTITIES))) == as_rows(arrivals(ENTITIES)[:1])
    with psycopg.connect(database) as connection:
        assert Counter(connection.execute("SELECT * FROM advertisements").fetchall()) == as_rows(arrivals(ENTITIES)[:1])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a disk of its own can't be mounted here ({mounted.stderr.decode().strip()})")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_in_one_line_and_nothing_is_lost(
    advertisements: Path, small_disk: Path, adstream: Adstream, tmp_path: Path
) -> None:
    files = [arrivals(ENTITIES)[0]]
    arguments = run_of(advertisements, small_disk, "--checkpoint", tmp_path / "kept")
    assert adstream(*arguments).code == 0
    for number in range(1, 4):
        noise = random.Random(number)
        names = ("".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(300)) for _ in range(600))
        files.append([{"key": 600 * number + i, "value": {"name": n, "type": "Pets"}} for i, n in enumerate(names)])
        write(advertisements, number, files[-1])
    said = adstream(*arguments)
    assert said.code == 3, said.err
    assert "no space left on" in said.err.splitlines()[-1] and "nothing is lost" in said.err.splitlines()[-1]
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert adstream(*arguments).code == 0
    assert rows_of(care.whole(care.table(TablePlace(str(small_disk / "out")), ENTITIES))) == as_rows(files)
