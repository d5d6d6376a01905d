"""What applications write beside their changes, published from a real PostgreSQL under kills."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.databases.outbox import JOB, write
from common.errors import AdstreamError
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.materialise import records, settled, table
from tests.integration.conftest import Adstream, Writers, cli, committed, execute, killed, url

pytestmark = pytest.mark.integration

STREAM = "advertisements"
KILLS = 5
ADVERTISEMENT = "CREATE TABLE advertisement (id bigint PRIMARY KEY, name text NOT NULL)"


@pytest.fixture
def shop(database: str, adstream: Adstream) -> str:
    """A database with an empty table of advertisements, and an outbox."""
    execute(database, ADVERTISEMENT)
    assert adstream("outbox", "create", "--database", database).code == 0
    return database


def value(name: str) -> dict[str, str]:
    return {"name": name, "type": "Pets"}


def change(session: psycopg.Connection, chance: random.Random, number: int) -> None:
    """Changes an advertisement, and writes that to the outbox."""
    key, name = chance.randrange(50), f"ad {number}"
    if chance.random() < 0.2:
        # To delete what is not there waits for nobody, so there would be no order to tell.
        if session.execute("DELETE FROM advertisement WHERE id = %s", (key,)).rowcount:
            write(session, STREAM, [(key, None)])
    else:
        upsert = "INSERT INTO advertisement VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name"
        session.execute(upsert, (key, name))
        write(session, STREAM, [(key, value(name))])


@pytest.mark.timeout(300)
def test_a_broker_gets_each_record_once_and_in_order_whatever_is_killed(
    shop: str, broker: Address, adstream: Adstream, tmp_path: Path
) -> None:
    recreate(broker, [topic_of(load(STREAM)), *internal_topics(JOB)])
    arguments = ["outbox", "publish", "--database", shop, "--output", str(tmp_path), "--sink", url(broker), "--keep"]
    chance = random.Random(8)
    with Writers(shop, change, seed=7):
        kills = sum(killed(cli(*arguments, "--every", "20ms"), chance.uniform(2.0, 5.0)) for _ in range(KILLS))
    said = adstream(*arguments)
    assert said.code == 0, said.err

    assert kills > 0
    written = list(committed(broker, STREAM))
    published, wanted = defaultdict[int, list[Any]](list), defaultdict[int, list[Any]](list)
    for part in written:
        for record in part.to_pylist():
            published[record["key"]].append(record["value"])
    with psycopg.connect(shop) as connection:
        for key, text in connection.execute("SELECT key, value FROM outbox ORDER BY id"):
            wanted[int(key)].append(json.loads(text) if text else None)
        rows = connection.execute("SELECT id, name FROM advertisement").fetchall()
    assert sum(map(len, wanted.values())) > 200
    assert published == wanted
    left = [{"key": key, "value": value(name)} for key, name in rows]
    contract = load(STREAM)
    assert settled(written, contract).equals(settled([pa.Table.from_pylist(left, schema=contract.arrow)], contract))


def test_an_id_that_is_committed_late_is_not_skipped(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    arguments = ("outbox", "publish", "--database", shop, "--output", tmp_path)
    with psycopg.connect(shop) as slow:
        write(slow, STREAM, [(1, value("slow"))])
        with psycopg.connect(shop) as gone:
            write(gone, STREAM, [(3, value("gone"))])
            gone.rollback()
        with psycopg.connect(shop) as quick:
            write(quick, STREAM, [(2, value("quick"))])
        assert adstream(*arguments).code == 0
        assert keys(tmp_path) == [2]
    assert adstream(*arguments).code == 0
    assert keys(tmp_path) == [2, 1]
    with psycopg.connect(shop) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def keys(folder: Path) -> list[int]:
    return [key for part in records(folder, STREAM, load(STREAM)) for key in part["key"].to_pylist()]


def test_a_record_that_breaks_its_contract_is_refused_before_it_is_written(shop: str) -> None:
    with psycopg.connect(shop) as connection:
        with pytest.raises(AdstreamError, match=r"record 1 breaks the contract \(value.type is missing\)"):
            write(connection, STREAM, [(1, value("good")), (2, {"name": "bad"})])
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_what_was_written_past_the_check_becomes_a_dead_letter(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    insert = "INSERT INTO outbox (stream, key, value) VALUES "
    execute(
        shop, insert + """('advertisements', '1', '{"name": 7}'), ('advertisements', '2', NULL), ('x', '3', NULL)"""
    )
    said = adstream("outbox", "publish", "--database", shop, "--output", tmp_path)
    assert said.code == 0, said.err
    assert keys(tmp_path) == [2]
    letters = table(tmp_path, "dead-letters", load("dead-letters")).to_pylist()
    assert [letter["value"]["reason"] for letter in letters] == [
        "value.name is 7, not a string",
        "there is no stream 'x'",
    ]


def test_a_second_relay_is_refused(shop: str, adstream: Adstream, tmp_path: Path) -> None:
    with psycopg.connect(shop) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('adstream outbox'))")
        said = adstream("outbox", "publish", "--database", shop, "--output", tmp_path)
    assert said.code == 2 and "is being published: stop the other relay" in said.err


def test_a_database_without_an_outbox_is_said(database: str, adstream: Adstream, tmp_path: Path) -> None:
    said = adstream("outbox", "publish", "--database", database, "--output", tmp_path)
    assert said.code == 2 and 'relation "outbox_relay" does not exist' in said.err


def test_an_outbox_that_was_restored_is_refused(shop: str, broker: Address, adstream: Adstream, tmp_path: Path) -> None:
    recreate(broker, [topic_of(load(STREAM)), *internal_topics(JOB)])
    arguments = ("outbox", "publish", "--database", shop, "--output", tmp_path, "--sink", url(broker))
    with psycopg.connect(shop) as connection:
        write(connection, STREAM, [(1, None)])
    assert adstream(*arguments).code == 0
    execute(shop, "UPDATE outbox_relay SET step = 0")
    said = adstream(*arguments)
    assert said.code == 2 and "the broker has steps up to 0, but the outbox at" in said.err
