from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from common.config.jobs import settings_type, topology_of
from common.contracts.contract import load
from common.errors import AdstreamError
from common.streams.kafka import admin
from common.streams.kafka.address import PASSWORD, Address
from common.streams.kafka.permissions import grant, make_login, permissions
from common.streams.kafka.sink import KafkaSink
from common.streams.kafka.source import KafkaSource
from common.streams.kafka.topics import internal_topics, recreate
from common.topology.nodes import Topology
from tests.integration.conftest import ADVERTISEMENT, Adstream, execute, url
from tests.producing import produce_folder

pytestmark = pytest.mark.integration


@pytest.fixture
def topology() -> Topology:
    return topology_of("sessions", settings_type("sessions")())


@pytest.fixture
def job(secured: Address, topology: Topology, monkeypatch: pytest.MonkeyPatch) -> Address:
    """The broker as the job `sessions` sees it: its own principal, with what its topology needs."""
    grant(secured, "sessions-job", permissions(topology), admin.shared_outputs("sessions"))
    monkeypatch.setenv(PASSWORD, make_login(secured, "sessions-job"))
    return replace(secured, user="sessions-job")


def test_permissions_follow_from_the_topology(adstream: Adstream) -> None:
    said = adstream("streams", "acl", "sessions", "--principal", "sessions-job")
    rows = [" ".join(line.split()) for line in said.out.splitlines()]
    assert rows == [
        "User:sessions-job",
        "resource name operations why",
        "topic ad-views DESCRIBE, READ input",
        "topic ad-clicks DESCRIBE, READ input",
        "topic ad-sessions CREATE, DESCRIBE, WRITE output",
        "topic late-events CREATE, DESCRIBE, WRITE output",
        "topic dead-letters CREATE, DESCRIBE, WRITE output",
        "topic sessions-epochs ALL internal",
        "transactional id adstream-sessions DESCRIBE, WRITE output",
        "group adstream READ input",
    ]


def test_a_job_runs_with_its_own_permissions(
    secured: Address,
    topology: Topology,
    adstream: Adstream,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert produce_folder(secured, sample, ("ad-views", "ad-clicks")) > 0
    grant(secured, "sessions-job", permissions(topology), admin.shared_outputs("sessions"))
    monkeypatch.setenv(PASSWORD, make_login(secured, "sessions-job"))
    place = url(secured, user="sessions-job")
    run = ("run", "sessions", "--engine", "local", "--mode", "stream", "--drain", "--output", tmp_path / "out")
    said = adstream(*run, "--input", place, "--sink", place)
    assert (said.code, "balance" in said.out) == (0, True), said.err


@pytest.mark.parametrize(
    ("writer", "options"), [("liberate-advertisements", ()), ("outbox", ("--publishes", "advertisements"))]
)
def test_what_frees_a_database_needs_what_it_writes(writer: str, options: tuple[str, ...], adstream: Adstream) -> None:
    said = adstream("streams", "acl", writer, *options)
    rows = [" ".join(line.split()) for line in said.out.splitlines()]
    assert rows == [
        f"User:{writer}",
        "resource name operations why",
        "topic advertisements CREATE, DESCRIBE, WRITE output",
        "topic dead-letters CREATE, DESCRIBE, WRITE output",
        f"topic {writer}-epochs ALL internal",
        f"transactional id adstream-{writer} DESCRIBE, WRITE output",
        "group adstream READ input",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("outbox",), "an outbox may be for any stream: name those it is for: --publishes STREAM"),
        (("outbox", "--publishes", "ads"), "--publishes: unknown stream 'ads'"),
        (("liberate-ads",), "unknown stream 'ads'"),
        (("sessions", "--publishes", "ad-views"), "--publishes has no meaning for 'sessions'"),
    ],
)
def test_a_wrong_writer_is_refused(arguments: tuple[str, ...], message: str, adstream: Adstream) -> None:
    said = adstream("streams", "acl", *arguments)
    assert said.code == 2 and message in said.err


@pytest.mark.parametrize("writer", ["liberate-advertisements", "outbox"])
def test_what_frees_a_database_runs_with_its_own_permissions(
    writer: str, secured: Address, database: str, adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, ADVERTISEMENT, "INSERT INTO advertisement VALUES (1, 'ad', 'Pets')")
    assert adstream("outbox", "create", "--database", database).code == 0
    execute(
        database,
        """INSERT INTO outbox (stream, key, value) VALUES ('advertisements', '1', '{"name": "ad", "type": "Pets"}')""",
    )
    # Both write the same stream here, and a stream has a single writer: one name for both.
    grants = ("--principal", "catalogue", "--apply", "--broker", url(secured))
    options = ("--publishes", "advertisements") if writer == "outbox" else ()
    said = adstream("streams", "acl", writer, *options, *grants)
    assert (said.code, said.out.splitlines()[-1]) == (0, "granted to User:catalogue"), said.err
    monkeypatch.setenv(PASSWORD, make_login(secured, "catalogue"))
    command = ("outbox", "publish") if writer == "outbox" else ("liberate", "advertisements")
    sink = url(secured, user="catalogue")
    said = adstream(*command, "--database", database, "--output", tmp_path, "--sink", sink)
    assert (said.code, " ".join(said.out.split()).count("records │ 1")) == (0, 1), said.err


def test_a_job_is_denied_a_neighbours_input(job: Address) -> None:
    with pytest.raises(AdstreamError) as denied:
        KafkaSource.at(job, ("advertisements",))
    assert str(denied.value) == (
        "stream 'advertisements': reading its partitions: the broker denies it to 'sessions-job': "
        "adstream streams acl JOB --apply grants it"
    )


def test_a_job_is_denied_a_neighbours_output(job: Address, tmp_path: Path) -> None:
    contract = load("advertisements")
    sink = KafkaSink(job, "sessions", str(tmp_path), {"advertisements": contract})
    step = f"{sink.delivered() + 1:09d}"
    record = {"key": 1, "value": {"name": "Josh's Gerbils", "type": "Pets"}}
    with sink.writer(step, "0") as writer:
        writer.write({"advertisements": pa.Table.from_pylist([record], contract.arrow)})
    with pytest.raises(AdstreamError, match=r"the broker denies it to 'sessions-job'"):
        sink.deliver(step, writer.parts)


def test_a_job_is_denied_the_identity_of_another(job: Address, tmp_path: Path) -> None:
    sink = KafkaSink(job, "billing", str(tmp_path), {})
    with pytest.raises(AdstreamError, match=r"job 'billing'.*the broker denies it to 'sessions-job'"):
        sink.deliver("000000000", ())


def test_whoever_has_the_wrong_password_is_told_so(secured: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    make_login(secured, "forgetful")
    monkeypatch.setenv(PASSWORD, "wrong")
    with pytest.raises(AdstreamError, match="the broker does not accept the login of 'forgetful'"):
        KafkaSource.at(replace(secured, user="forgetful"), ("ad-views",))


def test_a_stream_keeps_its_single_writer(secured: Address, topology: Topology) -> None:
    grant(secured, "sessions-job", permissions(topology), admin.shared_outputs("sessions"))
    with pytest.raises(AdstreamError, match="stream 'ad-sessions': 'sessions-job' may write it"):
        grant(secured, "another-job", permissions(topology))


def test_permissions_can_be_granted_again(secured: Address, topology: Topology, adstream: Adstream) -> None:
    for _ in range(2):
        said = adstream(
            "streams", "acl", "sessions", "--principal", "sessions-job", "--apply", "--broker", url(secured)
        )
        assert (said.code, said.out.splitlines()[-1]) == (0, "granted to User:sessions-job")


def test_a_login_is_made_from_the_command_line(secured: Address, adstream: Adstream) -> None:
    said = adstream("streams", "login", "somebody", "--broker", url(secured))
    assert said.code == 0
    assert len(said.out.strip()) == 32


def test_a_check_asks_for_every_right_that_a_job_needs(
    secured: Address,
    topology: Topology,
    adstream: Adstream,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    produce_folder(secured, sample, ("ad-views", "ad-clicks"))
    recreate(secured, internal_topics("sessions"))  # no run has written yet
    missing = ("WRITE", "late-events")
    wanted = [
        replace(each, operations=tuple({*each.operations} - {missing[0]})) if each.name == missing[1] else each
        for each in permissions(topology)
    ]
    grant(secured, "checked-job", wanted, shared=topology_streams(topology))
    mine, theirs = os.environ[PASSWORD], make_login(secured, "checked-job")
    monkeypatch.setenv(PASSWORD, theirs)
    place = url(secured, user="checked-job")
    check = ("run", "sessions", "--engine", "local", "--mode", "stream", "--output", tmp_path / "out", "--check")
    said = adstream(*check, "--input", place, "--sink", place)
    assert said.code == 2
    assert "stream 'late-events': 'checked-job' may not WRITE" in said.err
    monkeypatch.setenv(PASSWORD, mine)
    grant(secured, "checked-job", permissions(topology), shared=topology_streams(topology))
    monkeypatch.setenv(PASSWORD, theirs)
    said = adstream(*check, "--input", place, "--sink", place)
    assert (said.code, "all checks passed" in said.out) == (0, True), said.err


def topology_streams(topology: Topology) -> list[str]:
    """All that a job writes; here another principal may write it too."""
    return [each.name for each in permissions(topology)]
