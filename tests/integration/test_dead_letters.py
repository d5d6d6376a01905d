"""Dead letters on a real broker: found by a job, shown, corrected and put back in transactions, under kills."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from common.contracts.contract import load
from common.operators.step import END
from common.streams.kafka.address import Address
from common.streams.kafka.putting_back import JOB, REPLAYED
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.source import KafkaSource
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from common.streams.kafka.wire import Part
from tests.integration.conftest import Adstream, cli, committed, killed, url

pytestmark = pytest.mark.integration

STREAM = "customer-rows"
BAD, KILLS = 3_000, 5


def produce(broker: Address, rows: list[tuple[int, dict[str, Any] | None]]) -> None:
    parts = [Part(Schemas(broker.registry), load(STREAM), name) for name in ("key", "value")]
    keys, values = (part.encode(column) for part, column in zip(parts, zip(*rows, strict=True), strict=True))
    producer = Producer(broker.client())
    for key, value in zip(keys, values, strict=True):
        producer.produce(STREAM, value, key)
    producer.flush(30)


@pytest.fixture
def found(broker: Address, adstream: Adstream, tmp_path: Path) -> Address:
    """A broker on which a job has found customers of no country, and one without a credit limit that is sane."""
    streams = (STREAM, "campaign-rows", "advertisement-rows", "promotions", "dead-letters", REPLAYED)
    topics = [topic_of(load(stream)) for stream in streams]
    recreate(broker, [*topics, *internal_topics("eventification"), *internal_topics(JOB)])
    row = {"name": "Josh", "country": "DE", "creditLimit": 1}
    bad = [(key, {**row, "country": "XX"}) for key in range(BAD)]
    produce(broker, [(BAD, row), *bad, (BAD + 1, {**row, "creditLimit": -1})])
    assert ran(broker, adstream, tmp_path) == BAD + 1
    return broker


def ran(broker: Address, adstream: Adstream, folder: Path) -> int:
    """Runs the job; gives how many dead letters there are on the broker."""
    said = adstream(
        *("run", "eventification", "--engine", "local", "--mode", "stream", "--until-caught-up"),
        *("--source", url(broker), "--sink", url(broker), "--output", folder / "out", "--set", "buckets=4"),
    )
    assert said.code == 0, said.err
    return sum(part.num_rows for part in committed(broker, "dead-letters"))


@pytest.mark.timeout(600)
def test_each_is_put_back_once_whatever_is_killed(found: Address, adstream: Adstream, tmp_path: Path) -> None:
    shown = [" ".join(line.split()) for line in adstream("dead-letters", "show", url(found)).out.splitlines()]
    assert shown[1].startswith(f"customer-rows rule 'country-is-known' {BAD:,} customer-rows/")
    assert '"value":{"name":"Josh","country":"XX","creditLimit":1}}' in shown[1]
    assert shown[2].startswith("customer-rows rule 'credit-limit-is-sane' 1 customer-rows/")

    replay = ("dead-letters", "replay", url(found), "--into", url(found), "--set", "value.country=FR")
    chance = random.Random(4)
    kills = sum(killed(cli(*replay), chance.uniform(0.5, 6.0)) for _ in range(KILLS))
    said = adstream(*replay)
    assert kills > 0
    assert said.code == 1 and "value.creditLimit is -1, which breaks the rule" in said.out
    assert " ".join(adstream(*replay).out.split()).count(f"put back before │ {BAD:,}") == 1

    # The job takes what was put back, and finds nothing wrong with it.
    assert ran(found, adstream, tmp_path) == BAD + 1
    good, countries = Counter[int](), Counter[str]()
    for part in committed_good(found):
        for record in part:
            good[record["key"]] += 1
            countries[record["value"]["country"]] += 1
    assert good == Counter(range(BAD + 1))
    assert countries == {"FR": BAD, "DE": 1}
    assert sum(part.num_rows for part in committed(found, REPLAYED)) == BAD


def committed_good(broker: Address) -> list[list[dict[str, Any]]]:
    """The customers that a job would read; those that broke the rules are still on the broker too."""
    source = KafkaSource.open(url(broker), (STREAM,))
    decoded = [each for split in source.everything(0) for each in read_kafka(split, load(STREAM), END)]
    assert sum(each.dead.num_rows for each in decoded) == BAD + 1
    return [each.records.to_pylist() for each in decoded]
