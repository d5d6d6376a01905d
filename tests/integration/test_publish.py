"""The log of a real PostgreSQL, by Debezium, into a private stream and published: under kills and changed tables."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from confluent_kafka import Producer

from common.contracts.contract import load
from common.engines.launch import launch, save_spec
from common.engines.registry import available, command
from common.errors import AdstreamError
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.services.connectors import _ask, forget, start
from common.services.process import load as record_of
from common.services.stack import Stack
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.materialise import settled
from jobs.publish.changes import PRIVATE, PUBLIC
from tests.integration.conftest import ADVERTISEMENT, Adstream, Writers, committed, execute, killed, url
from tests.running import each_engine

pytestmark = pytest.mark.integration

CONFIG = json.loads((Path(__file__).parents[2] / "jobs/publish/connector.json").read_text())
SENTINEL = 10**9
KILLS = 4
PATIENCE = 90.0


@dataclass(frozen=True)
class Connector:
    """A connector; called, it is started, whatever had become of it."""

    services: Stack
    database: str
    name: str

    def __call__(self) -> None:
        list(self.services.up(["connect"]))
        url = self.services.endpoint("connect", "url")
        start(url, self.name, {**CONFIG, "slot.name": self.name}, self.database)


@pytest.fixture
def connected(services: Stack, broker: Address, database: str) -> Iterator[Connector]:
    """A connector on a table of advertisements; its topics are empty."""
    list(services.up(["connect"]))
    recreate(
        broker, [*(topic_of(load(name)) for name in (PRIVATE, PUBLIC, "dead-letters")), *internal_topics("publish")]
    )
    execute(database, ADVERTISEMENT)
    name = f"publish_{time.time_ns()}"
    yield Connector(services, database, name)
    list(services.up(["connect"]))
    # Connect keeps its connectors: this one would go on in the database of the next test.
    _ask(f"{services.endpoint('connect', 'url')}/connectors/{name}", "DELETE")
    list(services.down(["connect"]))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        time.sleep(0.5)
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [name]
        )


def change(session: psycopg.Connection, chance: random.Random, number: int) -> None:
    key, what = chance.randrange(100), chance.random()
    if what < 0.02:
        session.rollback()
        session.execute("TRUNCATE advertisement")
        session.commit()
    elif what < 0.2:
        session.execute("DELETE FROM advertisement WHERE id = %s", (key,))
    elif what < 0.25:
        session.execute("UPDATE advertisement SET id = %s WHERE id = %s", (chance.randrange(100, 200), key))
    else:
        upsert = (
            "INSERT INTO advertisement VALUES (%s, %s, 'Pets', %s) ON CONFLICT (id) DO UPDATE"
            " SET name = excluded.name, is_deleted = excluded.is_deleted"
        )
        session.execute(upsert, (key, f"ad {number}", chance.random() < 0.1))


def spec_of(engine: str, broker: Address, folder: Path) -> JobSpec:
    return JobSpec(
        job="publish",
        engine=engine,
        mode="stream",
        input=url(broker),
        output=str(folder / "out"),
        checkpoint=str(folder / "checkpoint"),
        settings={"buckets": 8},
        sink=url(broker),
    )


def caught_up(spec: JobSpec, broker: Address) -> pa.Table:
    """What the job leaves in the public stream, once it has seen the last row of the table."""
    spec, deadline = replace(spec, until_caught_up=True), time.monotonic() + PATIENCE
    while True:
        assert launch(spec, lambda _: None).balanced
        left = settled(committed(broker, PUBLIC), load(PUBLIC))
        if SENTINEL in left["key"].to_pylist():
            return left
        assert time.monotonic() < deadline, "the last row does not come"
        time.sleep(0.5)


def kill_connect(services: Stack) -> None:
    connect = record_of(services.home / "connect")
    assert connect is not None
    os.kill(connect.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(connect.pid, 0)


def rows_of(database: str) -> pa.Table:
    """The table as the stream should leave it."""
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT id, name, type FROM advertisement WHERE NOT is_deleted").fetchall()
    rows = [{"key": key, "value": {"name": name, "type": kind}} for key, name, kind in found]
    return settled([pa.Table.from_pylist(rows, schema=load(PUBLIC).arrow)], load(PUBLIC))


@pytest.mark.timeout(600)
def test_the_stream_is_the_exact_table_whatever_is_killed(
    connected: Connector, services: Stack, broker: Address, database: str, tmp_path: Path
) -> None:
    chance, spec, kills = random.Random(12), spec_of("local", broker, tmp_path), 0
    with Writers(database, change, seed=11) as writers:
        time.sleep(1.0)
        connected()
        for number in range(KILLS):
            path = save_spec(spec)
            kills += killed(command(path, spec), chance.uniform(3.0, 6.0))
            if number % 2 == 0:
                kill_connect(services)
                connected()
    execute(database, f"INSERT INTO advertisement VALUES ({SENTINEL}, 'last', 'Pets')")

    left = caught_up(spec, broker)
    assert kills > 0 and writers.changes > 300
    assert Summary.load(Path(spec.output)).metrics["truncations"] > 0
    assert left.equals(rows_of(database))


@pytest.mark.parametrize("engine", each_engine())
@pytest.mark.timeout(600)
def test_every_operation_of_the_log_arrives(
    engine: str, connected: Connector, broker: Address, database: str, tmp_path: Path
) -> None:
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    insert = "INSERT INTO advertisement VALUES ({}, '{}', 'Pets')"
    execute(database, insert.format(1, "read"), insert.format(2, "read"))
    connected()
    execute(
        database,
        "UPDATE advertisement SET name = 'updated' WHERE id = 1",
        "DELETE FROM advertisement WHERE id = 2",
        "UPDATE advertisement SET id = 3 WHERE id = 1",
        insert.format(4, "before"),
        "TRUNCATE advertisement",
        insert.format(4, "created"),
        "UPDATE advertisement SET is_deleted = true WHERE id = 4",
        insert.format(5, "created"),
        "ALTER TABLE advertisement ADD colour text DEFAULT 'red'",
        insert.format(6, "wider").replace("advertisement", "advertisement (id, name, type)"),
        insert.format(SENTINEL, "last").replace("advertisement", "advertisement (id, name, type)"),
    )
    assert caught_up(spec_of(engine, broker, tmp_path), broker)["key"].to_pylist() == [SENTINEL, 5, 6]


def test_what_is_no_json_is_a_dead_letter_and_not_the_end(broker: Address, tmp_path: Path) -> None:
    recreate(
        broker, [*(topic_of(load(name)) for name in (PRIVATE, PUBLIC, "dead-letters")), *internal_topics("publish")]
    )
    change = {"op": "c", "after": {"id": SENTINEL, "name": "last", "type": "Pets", "is_deleted": False}}
    good = json.dumps({**change, "source": {"lsn": 1, "ts_ms": 1}})
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for key, value in (("{", good), ('{"id": 1}', '{"op"'), ('{"id": 1}', "[]"), (f'{{"id":\n{SENTINEL}}}', good)):
        producer.produce(PRIVATE, key=key, value=value, partition=0)
    producer.flush()
    assert caught_up(spec_of("local", broker, tmp_path), broker)["key"].to_pylist() == [SENTINEL]
    letters = pa.concat_tables(committed(broker, "dead-letters"))["value"].to_pylist()
    assert [
        (letter["offset"], letter["reason"][:20]) for letter in sorted(letters, key=lambda letter: letter["offset"])
    ] == [
        (0, "key is not JSON: une"),
        (1, "value is not JSON: u"),
        (2, "value is [], not an "),
    ]


def test_a_dropped_column_is_a_dead_letter_and_not_the_end(
    connected: Connector, broker: Address, database: str, tmp_path: Path
) -> None:
    connected()
    execute(
        database,
        "ALTER TABLE advertisement RENAME type TO kind",
        "INSERT INTO advertisement VALUES (1, 'ad', 'Pets')",
        "ALTER TABLE advertisement RENAME kind TO type",
        f"INSERT INTO advertisement VALUES ({SENTINEL}, 'last', 'Pets')",
    )
    assert caught_up(spec_of("local", broker, tmp_path), broker)["key"].to_pylist() == [SENTINEL]
    (letter,) = pa.concat_tables(committed(broker, "dead-letters"))["value"].to_pylist()
    assert letter["reason"] == "value.after.type is missing"
    assert json.loads(letter["raw"])["after"]["kind"] == "Pets"


def test_a_long_value_that_an_update_leaves_alone_is_published(
    connected: Connector, broker: Address, database: str, tmp_path: Path
) -> None:
    """PostgreSQL keeps it apart from its row, and logs it only as part of the whole row before."""
    name = os.urandom(8_000).hex()
    connected()
    execute(
        database,
        f"INSERT INTO advertisement VALUES (1, '{name}', 'Pets')",
        "UPDATE advertisement SET type = 'Cars' WHERE id = 1",
        "ALTER TABLE advertisement REPLICA IDENTITY DEFAULT",
        "UPDATE advertisement SET type = 'Books' WHERE id = 1",
        f"INSERT INTO advertisement VALUES ({SENTINEL}, 'last', 'Pets')",
    )
    left = {row["key"]: row["value"] for row in caught_up(spec_of("local", broker, tmp_path), broker).to_pylist()}
    assert left[1] == {"name": name, "type": "Cars"}
    (letter,) = pa.concat_tables(committed(broker, "dead-letters"))["value"].to_pylist()
    assert "which breaks the rule 'name-is-known'" in letter["reason"]


def test_a_slot_that_is_lost_is_refused_until_the_table_is_taken_up_anew(
    connected: Connector, services: Stack, broker: Address, database: str, tmp_path: Path, adstream: Adstream
) -> None:
    connected()
    execute(database, f"INSERT INTO advertisement VALUES ({SENTINEL}, 'last', 'Pets')")
    caught_up(spec_of("local", broker, tmp_path), broker)
    time.sleep(2.0)  # Connect saves its place once a second
    list(services.down(["connect"]))
    execute(
        database,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'publish_%'",
    )
    execute(database, "DELETE FROM advertisement")
    with pytest.raises(AdstreamError, match="its replication slot is lost, and with it the changes that come next"):
        connected()

    recreate(broker, [topic_of(load(PRIVATE))])
    execute(database, f"INSERT INTO advertisement VALUES ({SENTINEL}, 'anew', 'Pets')")
    said = adstream("reset", "publish", "--outputs", "--yes", "--output", tmp_path / "out")
    assert said.code == 0, said.err
    forget(services.endpoint("connect", "url"), connected.name)
    connected()
    assert caught_up(spec_of("local", broker, tmp_path), broker).equals(rows_of(database))
