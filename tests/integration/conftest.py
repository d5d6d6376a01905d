"""Real services, started once for all tests that ask for them, by the code behind `adstream services`."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest
from pyarrow import fs

from common.cli.main import invoke
from common.contracts.contract import load
from common.operators.step import END
from common.services import s3
from common.services.process import start, stop
from common.services.stack import Stack
from common.streams.kafka import admin
from common.streams.kafka.address import PASSWORD, Address
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.source import KafkaSource
from tests.running import killed_after


@dataclass(frozen=True)
class Said:
    """What one command said."""

    code: int
    out: str
    err: str


Adstream = Callable[..., Said]

ADVERTISEMENT = """\
CREATE TABLE advertisement (
    id bigint PRIMARY KEY, name text, type text NOT NULL, is_deleted boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now())"""


Change = Callable[[psycopg.Connection, random.Random, int], None]
"""Changes something in a session's transaction; the number is another one each time."""


class Writers(threading.Thread):
    """Sessions that change a database side by side, as long as the context lasts; some take long, some give up.

    Args:
        database: The URL of the database.
        change: What they do.
        seed: What decides who does what when.
    """

    def __init__(self, database: str, change: Change, seed: int) -> None:
        super().__init__()
        self._database, self._change, self._seed = database, change, seed
        self._ended = threading.Event()
        self.changes = 0

    def run(self) -> None:
        chance, number = random.Random(self._seed), 0
        sessions = [psycopg.connect(self._database, options="-c lock_timeout=20ms") for _ in range(4)]
        while not self._ended.wait(0.002):
            session, number = chance.choice(sessions), number + 1
            try:
                if chance.random() < 0.3:
                    session.commit() if chance.random() < 0.8 else session.rollback()
                else:
                    self._change(session, chance, number)
                    self.changes += 1
            except psycopg.Error:
                session.rollback()
        for session in sessions:
            with suppress(psycopg.Error):
                session.commit()
            session.close()

    def __enter__(self) -> Writers:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


@pytest.fixture(scope="session")
def services() -> Iterator[Stack]:
    """The services of these tests; each starts when it is asked for, and all are stopped at the end."""
    # Not below pytest's own folder: only its owner may enter that, and PostgreSQL is another user.
    home = Path(tempfile.mkdtemp(prefix="adstream-services-"))
    home.chmod(0o755)
    stack = Stack(home)
    with pytest.MonkeyPatch.context() as patch:
        # The object store asks for those that it was started with, whoever started it.
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        yield stack
    list(stack.down())
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def broker(services: Stack) -> Address:
    """A broker and a registry that have every stream."""
    list(services.up(["kafka", "registry"]))
    address = Address(services.endpoint("kafka", "bootstrap"), services.endpoint("registry", "url"))
    list(admin.create(address, ()))
    return address


@pytest.fixture
def database(services: Stack) -> Iterator[str]:
    """The URL of an empty database."""
    list(services.up(["postgres"]))
    home = services.endpoint("postgres", "url")
    execute(home, "DROP DATABASE IF EXISTS shop WITH (FORCE)", "CREATE DATABASE shop")
    yield home.rpartition("/")[0] + "/shop"
    list(services.up(["postgres"]))


@pytest.fixture
def place(services: Stack) -> str:
    """The URL of an empty place in an object store."""
    list(services.up(["s3"]))
    # One bucket for all: each takes volumes of its own, of which there are few.
    bucket, host = "ads", services.endpoint("s3", "url").removeprefix("http://")
    url = f"s3://{bucket}/{uuid4().hex[:8]}?endpoint_override={host}&scheme=http&region=us-east-1"
    fs.FileSystem.from_uri(f"{url}&allow_bucket_creation=true")[0].create_dir(bucket)
    return url


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """The URL of a place in an object store that has one user."""
    keys, folder = [{"accessKey": "writer", "secretKey": "right"}], tmp_path / "s3"
    allowed = {"identities": [{"name": "writer", "credentials": keys, "actions": ["Admin", "Read", "Write", "List"]}]}
    folder.mkdir()
    (folder / "identities.json").write_text(json.dumps(allowed))
    prepared = s3.launch(folder, {})
    guarding = [*prepared.command, f"-s3.config={folder / 'identities.json'}"]
    record = start("s3", folder, replace(prepared, command=guarding), s3.PATIENCE)
    yield f"s3://ads/there?endpoint_override={record.endpoints['url'].removeprefix('http://')}&scheme=http"
    stop(folder, s3.PATIENCE)


@pytest.fixture
def secured(services: Stack, monkeypatch: pytest.MonkeyPatch) -> Address:
    """A broker that enforces permissions, with every stream, as its administrator."""
    list(services.up(["kafka-secured", "registry"]))
    monkeypatch.setenv(PASSWORD, (services.home / "kafka-secured" / "admin.password").read_text())
    bootstrap, registry = services.endpoint("kafka-secured", "bootstrap"), services.endpoint("registry", "url")
    address = Address(bootstrap, registry, "admin")
    list(admin.create(address, ()))
    return address


@pytest.fixture
def adstream(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Adstream:
    """The command line, in this process; an engine still runs in its own."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Said:
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


def execute(database: str, *statements: str) -> None:
    """Runs statements, each as a transaction of its own."""
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def killed(command: list[str], alive: float) -> bool:
    """Starts a process and kills it after a while, with all that it has started; tells whether it was still there."""
    return killed_after(subprocess.Popen(command, start_new_session=True), alive)


def cli(*arguments: object) -> list[str]:
    """The command line, as a process of its own."""
    return [sys.executable, "-m", "common.cli.main", *map(str, arguments)]


def committed(address: Address, stream: str, contract: str = "") -> Iterator[pa.Table]:
    """All records that a stream on a broker holds, those of each partition in order.

    Args:
        address: The broker.
        stream: The stream.
        contract: The stream whose contract it has, if not its own.
    """
    source = KafkaSource.open(url(address), (stream,))
    for split in source.everything(0):
        for decoded in read_kafka(split, load(contract or stream), END):
            assert decoded.dead.num_rows == 0
            yield decoded.records


def url(address: Address, **options: str) -> str:
    """The address as it is typed."""
    given = {"registry": address.registry, "user": address.user, **options}
    return f"kafka://{address.bootstrap}?" + "&".join(f"{name}={value}" for name, value in given.items() if value)
