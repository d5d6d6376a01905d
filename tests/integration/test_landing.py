"""Streams landed in tables by a job that is killed at any moment: each row once, in Delta and in PostgreSQL."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from common.contracts.contract import load
from common.engines.launch import launch, save_spec
from common.engines.registry import command, environment
from common.errors import AdstreamError
from common.runtime.run import Run
from common.services.stack import Stack
from common.streams.kafka.address import Address
from common.streams.kafka.topics import recreate, topic_of
from common.tables import care
from common.tables.place import TablePlace
from tests.integration.conftest import Adstream, execute, url
from tests.integration.landing import (
    ENTITIES,
    EVENTS,
    FILES,
    PATIENCE_SECONDS,
    Arriving,
    Records,
    arrivals,
    as_rows,
    check_every_version,
    landed,
    plain,
    rows_of,
    spec_of,
)
from tests.producing import produce_folder
from tests.running import each_engine

pytestmark = pytest.mark.integration

ENGINES = each_engine(pytest.mark.recovery)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.timeout(900)
def test_delta_tables_hold_each_row_once_and_every_version_of_them_is_true(engine: str, tmp_path: Path) -> None:
    spec = landed(engine, tmp_path)
    check_every_version(TablePlace(spec.output))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.timeout(900)
def test_a_database_holds_each_row_once(engine: str, database: str, tmp_path: Path) -> None:
    landed(engine, tmp_path, database)
    with psycopg.connect(database) as connection:
        clicks = connection.execute('SELECT key, "advertisementId", "createdEventTime" FROM ad_clicks').fetchall()
        ads = connection.execute("SELECT key, name, type FROM advertisements").fetchall()
    assert Counter(tuple(map(plain, row)) for row in clicks) == as_rows(arrivals(EVENTS))
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
