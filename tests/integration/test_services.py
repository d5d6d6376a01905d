from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from common.services.process import load
from common.services.stack import SERVICES, Stack
from common.storage import storage_at
from common.streams.kafka.subjects import Subject, found, register

pytestmark = pytest.mark.integration

LOOPBACK = ("127.0.0.1", "::ffff:127.0.0.1")


@pytest.fixture(scope="module")
def everything(services: Stack) -> Stack:
    list(services.up(SERVICES))
    return services


def ask(url: str, body: object = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read()


def test_all_are_up(everything: Stack) -> None:
    assert [name for name, record in everything.status() if record is None] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_listens_on_the_loopback_interface_only(everything: Stack, service: str) -> None:
    record = load(everything.home / service)
    assert record is not None
    process = psutil.Process(record.pid)
    listening = {
        connection.laddr.ip
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= set(LOOPBACK)


def test_the_registry_keeps_versions_compatible_by_default(everything: Stack) -> None:
    level = json.loads(ask(f"{everything.endpoint('registry', 'url')}/config"))
    assert level == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_postgres_decodes_its_log(everything: Stack) -> None:
    with psycopg.connect(everything.endpoint("postgres", "url")) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)


def test_s3_gives_back_what_it_got(everything: Stack, place: str) -> None:
    storage_at(place).write("views", b"ten views")
    assert storage_at(place).read("views").to_pybytes() == b"ten views"


def test_connect_turns_rows_into_records_and_goes_on_after_a_restart(everything: Stack) -> None:
    with psycopg.connect(everything.endpoint("postgres", "url"), autocommit=True) as connection:
        connection.execute("create table ad (id int primary key, name text)")
        connection.execute("insert into ad values (1, 'Ducks')")
        port = connection.info.port
    url = f"{everything.endpoint('connect', 'url')}/connectors"
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(port),
        "database.user": "postgres",
        "database.dbname": "postgres",
        "plugin.name": "pgoutput",
        "topic.prefix": "shop",
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": "1",
    }
    ask(url, {"name": "ads", "config": config})
    values = read(everything.endpoint("kafka", "bootstrap"), "shop.public.ad")
    assert json.loads(next(values))["payload"]["after"] == {"id": 1, "name": "Ducks"}

    assert list(everything.down(["connect"])) == ["connect"]
    list(everything.up(["connect"]))
    with psycopg.connect(everything.endpoint("postgres", "url"), autocommit=True) as connection:
        connection.execute("insert into ad values (2, 'Gerbils')")
    assert json.loads(next(values))["payload"]["after"] == {"id": 2, "name": "Gerbils"}
    ask(f"{url}/ads", method="DELETE")


def read(bootstrap: str, topic: str) -> Iterator[bytes]:
    config = {"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
    consumer = Consumer({**config, "allow.auto.create.topics": False, "topic.metadata.refresh.interval.ms": 500})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                yield message.value()
    finally:
        consumer.close()


def test_what_is_stopped_starts_again_with_its_data_and_ports(everything: Stack, place: str) -> None:
    names = ("kafka", "registry", "postgres", "s3")
    before = {name: load(everything.home / name) for name in names}
    bootstrap, registry = everything.endpoint("kafka", "bootstrap"), everything.endpoint("registry", "url")
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([NewTopic("kept", 3)])["kept"].result()
    subject = Subject("kept-value", "BACKWARD", ("string",))
    register(registry, subject)
    with psycopg.connect(everything.endpoint("postgres", "url"), autocommit=True) as connection:
        connection.execute("create table kept (id int)")
    storage_at(place).write("it", b"it")

    assert set(everything.down(names)) == set(names)
    assert {name for name, record in everything.status() if record is None} == set(names)
    list(everything.up(names))

    for name in names:
        after = load(everything.home / name)
        assert after is not None and before[name] is not None
        assert after.endpoints == before[name].endpoints and after.pid != before[name].pid
    topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    assert len(topics["kept"].partitions) == 3
    assert found(registry, "kept-value") == subject
    with psycopg.connect(everything.endpoint("postgres", "url")) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)
    assert storage_at(place).read("it").to_pybytes() == b"it"


def test_a_service_that_runs_is_not_started_twice(everything: Stack) -> None:
    (first,) = everything.up(["postgres"])
    (again,) = everything.up(["postgres"])
    assert again == first


def test_down_ends_the_process(services: Stack, tmp_path: Path) -> None:
    (record,) = services.up(["s3"])
    assert list(services.down(["s3"])) == ["s3"]
    assert not psutil.pid_exists(record.pid)
    assert list(services.down(["s3"])) == []
