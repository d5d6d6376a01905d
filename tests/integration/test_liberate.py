"""Tables of a real PostgreSQL into streams, by query: while others write, and under kills and faults."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import yaml

from common.cli.liberate import PROGRESS
from common.contracts.contract import load
from common.databases.liberate import snapshot_of
from common.databases.liberation import job_of
from common.databases.postgres import Database
from common.databases.progress import Snapshot
from common.engines.launch import only_writer
from common.errors import AdstreamError
from common.services.stack import Stack
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.materialise import records, settled, table
from tests.integration.conftest import ADVERTISEMENT, Adstream, Writers, cli, committed, execute, killed, url

pytestmark = pytest.mark.integration

STREAM = "advertisements"
KILLS = 4
VIEW = "CREATE TABLE view (id bigint GENERATED ALWAYS AS IDENTITY, person text, ad bigint, at timestamptz)"
VIEWS = {
    "ad-views": {
        "table": "view",
        "key": "person",
        "value": {"advertisementId": "ad", "createdEventTime": "at"},
        "read": {"by": "id", "column": "id"},
        "page": 100,
    }
}


@pytest.fixture
def shop(database: str) -> str:
    """A database with an empty table of advertisements, and one of views."""
    execute(database, ADVERTISEMENT, "CREATE INDEX ON advertisement (updated_at)", VIEW)
    return database


def as_said(tmp_path: Path, sections: object) -> Path:
    path = tmp_path / "tables.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def change(session: psycopg.Connection, chance: random.Random, number: int) -> None:
    # The times of a transaction, of a statement, and one that many rows share.
    moment = chance.choice(["now()", "clock_timestamp()", "date_trunc('second', clock_timestamp())"])
    deleted = chance.random() < 0.2
    # A row that is deleted need not keep the contract.
    key, name = chance.randrange(300), None if deleted else f"ad {number}"
    session.execute(
        f"INSERT INTO advertisement VALUES (%s, %s, 'Pets', %s, {moment}) ON CONFLICT (id) DO UPDATE"
        " SET name = excluded.name, is_deleted = excluded.is_deleted, updated_at = excluded.updated_at",
        (key, name, deleted),
    )


def rows_of(database: str) -> pa.Table:
    """The table as the stream should leave it."""
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT id, name, type FROM advertisement WHERE NOT is_deleted").fetchall()
    rows = [{"key": key, "value": {"name": name, "type": type_}} for key, name, type_ in found]
    contract = load(STREAM)
    return settled([pa.Table.from_pylist(rows, schema=contract.arrow)], contract)


@pytest.mark.timeout(300)
def test_a_broker_gets_each_change_once_whatever_is_killed(
    shop: str, broker: Address, adstream: Adstream, tmp_path: Path
) -> None:
    recreate(broker, [topic_of(load(STREAM)), *internal_topics(job_of(STREAM))])
    arguments = ["liberate", STREAM, "--database", shop, "--output", str(tmp_path), "--sink", url(broker)]
    chance = random.Random(5)
    with Writers(shop, change, seed=3) as writers:
        kills = sum(killed(cli(*arguments, "--every", "100ms"), chance.uniform(2.0, 5.0)) for _ in range(KILLS))
    said = adstream(*arguments)
    assert said.code == 0, said.err

    assert kills > 0 and writers.changes > 300
    written = list(committed(broker, STREAM))
    assert settled(written, load(STREAM)).equals(rows_of(shop))
    upserts = [(row["key"], row["value"]["name"]) for part in written for row in part.to_pylist() if row["value"]]
    assert len(upserts) == len(set(upserts))
    assert len(upserts) > KILLS


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("engine", "seconds"),
    [
        ("local", (0.8, 3.0)),
        pytest.param("spark", (5.0, 9.0), marks=pytest.mark.spark),
        pytest.param("beam", (2.0, 6.0), marks=pytest.mark.beam),
    ],
)
def test_a_folder_gets_the_exact_table_whatever_is_killed(
    shop: str, adstream: Adstream, tmp_path: Path, engine: str, seconds: tuple[float, float]
) -> None:
    execute(shop, "INSERT INTO advertisement SELECT i, 'ad ' || i, 'Pets' FROM generate_series(300, 40000) AS i")
    config = as_said(tmp_path, {STREAM: {**shipped(), "page": 500}})
    output = tmp_path / "out"
    arguments = ["liberate", STREAM, "--database", shop, "--output", str(output), "--config", str(config)]
    arguments += ["--engine", engine, "--tasks"]
    chance = random.Random(6)
    with Writers(shop, change, seed=4):
        kills = sum(killed(cli(*arguments, 2), chance.uniform(*seconds)) for _ in range(KILLS))
    said = adstream(*arguments, 5)
    assert said.code == 0, said.err
    assert kills > 0
    assert table(output, STREAM, load(STREAM)).equals(rows_of(shop))
    assert len(list((output / STREAM).glob("*.p1.jsonl"))) > 1


def shipped() -> dict[str, object]:
    return yaml.safe_load((Path(__file__).parents[2] / "jobs/liberate/tables.yaml").read_text())[STREAM]


def test_a_transaction_that_ends_late_is_not_skipped(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    arguments = ("liberate", STREAM, "--database", shop, "--output", tmp_path)
    with psycopg.connect(shop) as slow:
        slow.execute("INSERT INTO advertisement VALUES (1, 'slow', 'Pets', false, now() - interval '5 min')")
        execute(shop, "INSERT INTO advertisement VALUES (2, 'quick', 'Pets')")
        assert adstream(*arguments).code == 0
        assert adstream(*arguments).code == 0
    execute(shop, "INSERT INTO advertisement VALUES (3, 'later', 'Pets')")
    assert adstream(*arguments).code == 0
    assert table(tmp_path, STREAM, load(STREAM)).equals(rows_of(shop))


def test_events_are_freed_by_id_each_once(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    config, output = as_said(tmp_path, VIEWS), tmp_path / "out"
    arguments = ("liberate", "ad-views", "--database", shop, "--output", output, "--config", config)
    add = "INSERT INTO view (person, ad, at) SELECT 'ada', i, now() FROM generate_series({}, {}) AS i"
    for first in (1, 251, 501):
        execute(shop, add.format(first, first + 249))
        assert adstream(*arguments).code == 0
    views = pa.concat_tables(records(output, "ad-views", load("ad-views")))
    assert [row["value"]["advertisementId"] for row in views.to_pylist()] == list(range(1, 751))


def test_a_query_is_freed(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    execute(shop, "CREATE TABLE label (type text, label text)", "INSERT INTO label VALUES ('Pets', 'Pets & co')")
    section = {
        "query": "SELECT a.id, a.name, l.label, a.updated_at FROM advertisement a JOIN label l USING (type)",
        "key": "id",
        "value": {"name": "name", "type": "label"},
        "read": {"by": "time", "column": "updated_at"},
    }
    config, output = as_said(tmp_path, {STREAM: section}), tmp_path / "out"
    for number in (1, 2):
        execute(shop, f"INSERT INTO advertisement VALUES ({number}, 'ad', 'Pets')")
        assert adstream("liberate", STREAM, "--database", shop, "--output", output, "--config", config).code == 0
    freed = table(output, STREAM, load(STREAM)).to_pylist()
    assert freed == [{"key": key, "value": {"name": "ad", "type": "Pets & co"}} for key in (1, 2)]


def test_rows_that_break_the_contract_become_dead_letters(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    execute(
        shop,
        "ALTER TABLE advertisement DROP CONSTRAINT advertisement_pkey",
        "ALTER TABLE advertisement ALTER id DROP NOT NULL",
        "INSERT INTO advertisement VALUES (NULL, 'nobody', 'Pets'), (1, NULL, 'Pets'), (2, 'good', 'Pets')",
    )
    assert adstream("liberate", STREAM, "--database", shop, "--output", tmp_path).code == 0
    assert [row["key"] for row in table(tmp_path, STREAM, load(STREAM)).to_pylist()] == [2]
    letters = pa.concat_tables(records(tmp_path, "dead-letters", load("dead-letters"))).to_pylist()
    assert [letter["value"]["reason"] for letter in letters] == ["key is null", "value.name is null"]
    assert [json.loads(letter["value"]["raw"])["key"] for letter in letters] == [None, 1]
    places = [letter["value"]["partition"] for letter in letters]
    assert places == [f"advertisements/advertisement.{page}" for page in ("000000000.p0", "000000001.p0")]
    said = adstream("dead-letters", "show", tmp_path)
    assert "key is null" in said.out and "value.name is null" in said.out
    replay = ("dead-letters", "replay", tmp_path, "--into", tmp_path, "--set", "value.name=mended")
    assert "put back" in adstream(*replay).out
    mended = table(tmp_path, STREAM, load(STREAM)).to_pylist()
    assert [(row["key"], row["value"]["name"]) for row in mended] == [(1, "mended"), (2, "good")]


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("ALTER TABLE advertisement DROP type", 'column "type" does not exist: correct the configuration, or put the'),
        (
            "ALTER TABLE advertisement ALTER id TYPE numeric",
            "table 'advertisement': column 'id' is numeric, which does not fit 'key' of stream 'advertisements' (int64)",
        ),
        ("DROP TABLE advertisement", 'relation "advertisement" does not exist: correct the configuration, or create'),
    ],
)
def test_a_table_that_changed_is_refused_in_one_line(
    shop: str, adstream: Adstream, tmp_path: Path, statement: str, line: str
) -> None:
    assert adstream("liberate", STREAM, "--database", shop, "--output", tmp_path).code == 0
    execute(shop, statement)
    said = adstream("liberate", STREAM, "--database", shop, "--output", tmp_path)
    assert said.code == 2 and line in said.err and said.err.count("\n") == 1


def test_a_clock_that_goes_back_is_refused(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    execute(shop, "INSERT INTO advertisement VALUES (1, 'ad', 'Pets')")
    assert adstream("liberate", STREAM, "--database", shop, "--output", tmp_path).code == 0
    path = tmp_path / PROGRESS
    progress = json.loads(path.read_text())
    path.write_text(json.dumps({**progress, "now": progress["now"] + 3_600_000_000}))
    said = adstream("liberate", STREAM, "--database", shop, "--output", tmp_path)
    assert said.code == 2 and "clock went back by 3," in said.err
    assert adstream("liberate", STREAM, "--database", shop, "--output", tmp_path, "--again").code == 0
    assert table(tmp_path, STREAM, load(STREAM)).num_rows == 1


def test_a_database_that_was_restored_is_refused(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    arguments = ("liberate", STREAM, "--database", shop, "--output", tmp_path)
    assert adstream(*arguments).code == 0
    path = tmp_path / PROGRESS
    progress = json.loads(path.read_text())
    path.write_text(json.dumps({**progress, "timeline": progress["timeline"] + 1}))
    said = adstream(*arguments)
    assert said.code == 2 and "it is on timeline 1, 2 was read" in said.err and said.err.count("\n") == 1


def test_a_crash_of_a_backend_is_noticed_and_a_plain_restart_is_no_new_timeline(shop: str, services: Stack) -> None:
    first = seen(shop)
    with psycopg.connect(shop) as session:
        os.kill(session.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    crashed = seen(shop)
    assert crashed.started > first.started and crashed.timeline == first.timeline == 1
    list(services.down(["postgres"]))
    list(services.up(["postgres"]))
    restarted = seen(shop)
    assert restarted.started > crashed.started and restarted.timeline == 1


def seen(database: str, patience: float = 60) -> Snapshot:
    """What a database says of itself, once it lets somebody in."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with Database(database, read_only=True) as opened:
                return snapshot_of(opened)
        except AdstreamError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_a_progress_of_something_else_is_refused(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    arguments = ("liberate", STREAM, "--database", shop, "--output", tmp_path / "out")
    assert adstream(*arguments).code == 0
    said = adstream(*arguments, "--config", as_said(tmp_path, {STREAM: {**shipped(), "read": {"by": "all"}}}))
    assert said.code == 2
    assert "is the progress of table 'advertisement' by time 'updated_at', along 'id', not of table 'adv" in said.err


def test_a_run_never_starts_while_the_last_one_runs(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    with only_writer(tmp_path):
        said = adstream("liberate", STREAM, "--database", shop, "--output", tmp_path)
    assert said.code == 2 and "another run is writing to it" in said.err


def test_a_database_that_restarts_in_the_middle_is_said_and_nothing_is_lost(
    shop: str, services: Stack, adstream: Adstream, tmp_path: Path
) -> None:
    execute(shop, "INSERT INTO advertisement SELECT i, 'ad ' || i, 'Pets' FROM generate_series(1, 20000) AS i")
    config = as_said(tmp_path, {STREAM: {**shipped(), "page": 50}})
    output = tmp_path / "out"
    arguments = ["liberate", STREAM, "--database", shop, "--output", str(output), "--config", str(config)]
    run = subprocess.Popen(cli(*arguments), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (output / STREAM).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    list(services.down(["postgres"]))
    _, err = run.communicate(timeout=60)
    assert run.returncode == 3
    assert "run it again: it goes on where it stopped" in err
    assert 0 < len(list((output / STREAM).iterdir())) < 400
    list(services.up(["postgres"]))
    assert adstream(*arguments).code == 0
    assert table(output, STREAM, load(STREAM)).equals(rows_of(shop))
