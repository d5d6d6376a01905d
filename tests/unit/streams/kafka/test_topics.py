from __future__ import annotations

from dataclasses import replace

import pytest

from common.contracts.contract import load
from common.streams.kafka.topics import Topic, differences, internal_topics, topic_of

DAY = 86_400_000


@pytest.mark.parametrize(
    ("stream", "policy", "retention"),
    [
        ("ad-views", "delete", str(30 * DAY)),
        ("advertisements", "compact", "-1"),
        ("ad-sessions", "compact,delete", str(90 * DAY)),
    ],
)
def test_a_topic_follows_from_its_contract(stream: str, policy: str, retention: str) -> None:
    assert topic_of(load(stream)) == Topic(stream, 12, {"cleanup.policy": policy, "retention.ms": retention})


def test_a_stream_without_retention_or_compaction_is_kept_for_ever() -> None:
    contract = load("ad-views")
    forever = replace(contract, meta=contract.meta.model_copy(update={"retention": None}))
    assert topic_of(forever).config == {"cleanup.policy": "delete", "retention.ms": "-1"}


def test_internal_topics_have_one_partition_and_only_their_last_record() -> None:
    (marker,) = internal_topics("sessions")
    assert (marker.name, marker.partitions, marker.config["cleanup.policy"]) == ("sessions-epochs", 1, "compact")


def test_the_order_of_policies_does_not_matter() -> None:
    wanted = topic_of(load("ad-sessions"))
    found = replace(wanted, config={**wanted.config, "cleanup.policy": "delete,compact", "segment.ms": "1"})
    assert list(differences(wanted, found)) == []


def test_differences_are_named() -> None:
    wanted = topic_of(load("ad-views"))
    assert list(differences(wanted, Topic("ad-views", 6, {"cleanup.policy": "delete", "retention.ms": "1000"}))) == [
        "stream 'ad-views': 6 partitions, its contract says 12",
        "stream 'ad-views': retention.ms is 1000, its contract says 2592000000",
    ]
    assert list(differences(wanted, None)) == ["stream 'ad-views': the broker does not have it"]
