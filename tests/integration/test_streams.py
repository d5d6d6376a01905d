from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
)

from common.contracts.contract import load, streams
from common.errors import AdstreamError
from common.streams.kafka import admin, subjects, topics
from common.streams.kafka.address import Address
from tests.integration.conftest import Adstream, url

pytestmark = pytest.mark.integration


@pytest.fixture
def restored(broker: Address) -> Iterator[Address]:
    """The broker, whose stream `ad-engagements` is put right again afterwards."""
    yield broker
    topics.recreate(broker, [topics.topic_of(load("ad-engagements"))])


def test_streams_are_as_their_contracts_say_once_created(broker: Address, adstream: Adstream) -> None:
    said = adstream("streams", "check", "--broker", url(broker))
    assert (said.code, said.out) == (0, "all is as the contracts say\n")


def test_a_topic_gets_partitions_retention_and_compaction_from_its_contract(broker: Address) -> None:
    there = topics.existing(broker, ("ad-views", "ad-sessions", "sessions-epochs"))
    views, sessions, internal = (there[name] for name in ("ad-views", "ad-sessions", "sessions-epochs"))
    month = str(30 * 86_400_000)
    assert (views.partitions, views.config["cleanup.policy"], views.config["retention.ms"]) == (12, "delete", month)
    assert set(sessions.config["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert (internal.partitions, internal.config["cleanup.policy"]) == (1, "compact")


def test_schemas_are_registered_under_their_level(broker: Address) -> None:
    for stream in streams():
        for wanted in subjects.subjects_of(stream):
            assert subjects.found(broker.registry, wanted.name) == wanted
            assert wanted.level == "FULL_TRANSITIVE"


def test_creating_again_changes_nothing(broker: Address) -> None:
    assert {(done.topic, done.schemas) for done in admin.create(broker, ())} == {(False, 0)}


def test_what_differs_is_said(restored: Address, adstream: Adstream) -> None:
    client = AdminClient(restored.client())
    client.create_partitions([NewPartitions("ad-engagements", 15)])["ad-engagements"].result()
    entry = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "ad-engagements", incremental_configs=[entry])
    client.incremental_alter_configs([resource])[resource].result()
    said = adstream("streams", "check", "ad-engagements", "--broker", url(restored))
    assert said.code == 1
    assert said.out.splitlines() == [
        "stream 'ad-engagements': 15 partitions, its contract says 12",
        "stream 'ad-engagements': cleanup.policy is delete, its contract says compact",
    ]


def test_a_stream_that_is_missing_is_said() -> None:
    assert list(topics.differences(topics.topic_of(load("ad-views")), None)) == [
        "stream 'ad-views': the broker does not have it"
    ]


def test_the_registry_refuses_what_breaks_the_level(broker: Address) -> None:
    _, wanted = subjects.subjects_of("ad-views")
    broken = {**wanted.schemas[0], "fields": [{"name": "advertisementId", "type": "string"}]}
    with pytest.raises(AdstreamError, match="the registry refuses a schema of 'ad-views-value' under FULL_TRANSITIVE"):
        subjects.register(broker.registry, replace(wanted, schemas=(*wanted.schemas, broken)))
    assert subjects.found(broker.registry, wanted.name) == wanted


def test_describe_shows_owner_tags_and_offsets(broker: Address, adstream: Adstream) -> None:
    said = adstream("streams", "describe", "ad-sessions", "--broker", url(broker))
    assert said.code == 0
    for fact in ("behaviour", "adstream.sessions", "key.userId, value.actions", "full_transitive"):
        assert fact in said.out
    assert len(re.findall(r"^ \d+ +\d+ +\d+ +\d+", said.out, re.MULTILINE)) == 12


def test_a_broker_that_is_down_is_said_in_one_line(broker: Address, adstream: Adstream) -> None:
    said = adstream("streams", "check", "ad-views", "--broker", url(replace(broker, bootstrap="127.0.0.1:1")))
    assert said.code == 3
    assert said.err.startswith("adstream: stream 'ad-views': reading its configuration: the broker at 127.0.0.1:1 does")


def test_a_registry_that_is_down_is_said_in_one_line(broker: Address, adstream: Adstream) -> None:
    there = url(replace(broker, registry="http://127.0.0.1:1"))
    said = adstream("streams", "create", "ad-views", "--broker", there)
    assert said.code == 3
    assert said.err.startswith("adstream: the schema registry at http://127.0.0.1:1 does not answer")
