"""What a broker holds that can't be taken as it is, and who may take it: the job refuses, or sets it aside."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from common.contracts.contract import load
from common.errors import AdstreamError
from common.operators.step import END
from common.runtime.summary import Summary
from common.streams.folder import Position
from common.streams.kafka import topics
from common.streams.kafka.address import Address
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.registry import ask
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.source import KafkaSource
from tests.integration.conftest import Adstream, url
from tests.integration.outages.job import (
    INPUTS,
    Job,
    caught_up,
    check_written,
    drained,
    errors,
    records,
    taken,
    until,
)
from tests.producing import produce_folder

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("stream", ["ad-clicks", "late-events", "sessions-epochs"])
def test_a_topic_that_is_missing(job: Job, adstream: Adstream, stream: str) -> None:
    client = AdminClient(job.broker.client())
    client.delete_topics([stream])[stream].result()
    until(lambda: not topics.existing(job.broker, [stream]), "the topic's end")
    try:
        said = adstream(*job.line)
        assert (said.code, errors(said)) == (
            2,
            [
                (
                    f"adstream: stream '{stream}': reading its partitions: the broker has no such stream: "
                    f"adstream streams create {stream}"
                )
            ],
        )
    finally:
        assert adstream("streams", "create", stream, "--broker", url(job.broker)).code == 0


def test_a_schema_that_is_missing(job: Job, adstream: Adstream) -> None:
    ask(job.broker.registry, "/subjects/late-events-value", method="DELETE")
    try:
        said = adstream(*job.line)
        assert (said.code, errors(said)) == (
            2,
            [
                (
                    "adstream: the value schema of 'late-events' (version 1) is not in the registry: "
                    "adstream streams create late-events"
                )
            ],
        )
    finally:
        assert adstream("streams", "create", "late-events", "--broker", url(job.broker)).code == 0


def test_another_number_of_partitions(job: Job, adstream: Adstream, ads: Path) -> None:
    produce_folder(job.broker, ads, INPUTS)
    with job.following() as run:
        until(lambda: caught_up(job), "the end of the input")
        client = AdminClient(job.broker.client())
        client.create_partitions([NewPartitions("ad-clicks", 15)])["ad-clicks"].result()
        assert run.ends() == 2
    again = adstream(*job.line)
    assert again.code == 2
    changed = (
        "adstream: stream 'ad-clicks' has 15 partitions, but the checkpoint knows 12: keys have moved between them"
    )
    for said in (run, again, adstream("lag", "sessions", "--output", job.output)):
        (line,) = errors(said)
        assert line.startswith(changed)
        assert line.endswith(
            "let the job begin anew (adstream reset JOB --output OUTPUT), or make the stream as it was"
        )
    required = adstream(*replace(job, output=job.output.with_name("other")).line, "--set", "copartition=required")
    assert (required.code, errors(required)) == (
        2,
        [
            (
                "adstream: stream 'ad-views': 12 partitions, but 'ad-clicks' has 15: repartition one of them, "
                "or set copartition=any: the job brings keys together by itself"
            )
        ],
    )


NOBODY = b'{"key":null,"value":{"advertisementId":7,"createdEventTime":8192}}'


def test_poison_goes_to_the_dead_letters(job: Job, adstream: Adstream, ads: Path) -> None:
    good = produce_folder(job.broker, ads, INPUTS)
    ids = Schemas(job.broker.registry)
    key, value = (ids.id_of("ad-views", part).to_bytes(4, "big") for part in ("key", "value"))
    ann, view = b"\0" + key + b"\x06ann", b"\0" + value + b"\x0e\x80\x80\x01"
    poison = {
        "value is not in Confluent's wire format": (ann, b'{"advertisementId": 7}'),
        "value: schema 4294967295 is not in the registry": (ann, b"\0\xff\xff\xff\xff\x0e\x00"),
        f"value can't be decoded with schema {int.from_bytes(value, 'big')}": (ann, view[:6]),
        "value has 3 bytes behind its end": (ann, view + b"end"),
        "key is not in Confluent's wire format": (b"ann", view),
        "key is null": (None, view),
        "value is null": (ann, None),
    }
    producer, places = Producer(job.broker.client()), {}
    for reason, (record_key, record_value) in poison.items():
        place = KafkaSource.at(job.broker, ("ad-views",)).ends()["ad-views/3"]
        producer.produce("ad-views", record_value, record_key, partition=3)
        producer.flush(10)
        # What could be decoded stands there as JSON, with its key.
        decoded = {"key is null": NOBODY, "value is null": b'{"key":"ann","value":null}'}
        places[place] = (reason, decoded.get(reason, record_value))
    metrics = drained(job, adstream)
    assert (metrics["records_in"], metrics["dead_letters"]) == (good + len(poison), len(poison))
    letters = [row for part in records(job.broker, "dead-letters") for row in part["value"].to_pylist()]
    assert {(row["stream"], row["partition"], row["records"]) for row in letters} == {("ad-views", "ad-views/3", 1)}
    for row in letters:
        reason, raw = places.pop(row["offset"])
        assert (row["raw"], row["reason"].startswith(reason)) == (raw, True), row
    assert places == {}


def expire(address: Address, streams: tuple[str, ...]) -> dict[str, int]:
    """Drops all records of streams; gives how many, by partition."""
    source = KafkaSource.at(address, streams)
    firsts, ends = source.firsts(), source.ends()
    asked = [TopicPartition(*_split(name), end) for name, end in ends.items()]
    client = AdminClient(address.client())
    for future in client.delete_records(asked).values():
        future.result()
    return {name: ends[name] - firsts[name] for name in ends}


def _split(partition: str) -> tuple[str, int]:
    stream, _, number = partition.rpartition("/")
    return stream, int(number)


def test_records_that_expired_unread(job: Job, adstream: Adstream, ads: Path) -> None:
    produce_folder(job.broker, ads, INPUTS)
    before = drained(job, adstream)
    produce_folder(job.broker, ads, INPUTS)
    expire(job.broker, INPUTS)
    ends = KafkaSource.at(job.broker, INPUTS).ends()
    refused = adstream(*job.line)
    (line,) = errors(refused)
    assert refused.code == 2
    assert line.startswith(
        f"adstream: up to {before['records_in']:,} records of 24 partitions expired unread, most of "
    )
    assert line.endswith("adstream offsets advance JOB --output OUTPUT accepts the loss")
    assert adstream("offsets", "advance", "sessions", "--output", job.output).code == 0
    sent = produce_folder(job.broker, ads, INPUTS)
    assert adstream(*job.line, "--until-caught-up").code == 0
    assert sum(taken(job.output / "_checkpoint").values()) == sum(ends.values()) + sent


def test_records_that_expire_between_the_plan_of_a_step_and_its_reading(job: Job, ads: Path) -> None:
    produce_folder(job.broker, ads, INPUTS)
    step = KafkaSource.at(job.broker, INPUTS).next_step(Position())
    assert step is not None
    expire(job.broker, INPUTS)
    split = step.splits[0]
    with pytest.raises(AdstreamError, match="the record at offset 0 has expired unread: adstream offsets advance JOB"):
        list(read_kafka(split, load(split.stream), END))


def test_a_second_copy_takes_over_and_the_first_one_ends(
    job: Job, halves: tuple[Path, Path], adstream: Adstream, sessions: str, tmp_path: Path
) -> None:
    second, copy = replace(job, output=tmp_path / "second"), tmp_path / "copy"
    produce_folder(job.broker, halves[0], INPUTS)
    with job.following() as older:
        until(lambda: caught_up(job), "the end of the input")
        shutil.copytree(job.output / "_checkpoint", copy)
        with second.following("--checkpoint", str(copy)) as newer:
            newer.says("is this run's alone, from step")
            produce_folder(job.broker, halves[1], INPUTS)
            assert older.ends() == 2
            until(lambda: taken(copy) == KafkaSource.at(job.broker, INPUTS).ends(), "the end of the input")
            assert newer.process.poll() is None, newer.said
    (line,) = errors(older)
    assert line.startswith("adstream: job 'sessions': delivering step ")
    assert line.endswith(": another run of this job has taken over: stop one of the two")
    said = adstream(*second.line, "--checkpoint", copy, "--drain")
    assert said.code == 0, said.err
    check_written(job.broker, dict(Summary.load(second.output).metrics), sessions)


def test_a_second_copy_that_is_behind_is_refused_and_the_first_one_goes_on(
    job: Job, halves: tuple[Path, Path], adstream: Adstream, sessions: str, tmp_path: Path
) -> None:
    second, copy = replace(job, output=tmp_path / "second"), tmp_path / "copy"
    produce_folder(job.broker, halves[0], INPUTS)
    with job.following() as first:
        until(lambda: caught_up(job), "the end of the input")
        shutil.copytree(job.output / "_checkpoint", copy)
        produce_folder(job.broker, halves[0], INPUTS)
        until(lambda: caught_up(job), "the end of the input")
        refused = adstream(*second.line, "--checkpoint", copy)
        assert refused.code == 2
        assert "of job 'sessions', but the checkpoint is at " in refused.err
        produce_folder(job.broker, halves[1], INPUTS)
        until(lambda: caught_up(job), "the end of the input")
        assert first.process.poll() is None, first.said
    check_written(job.broker, drained(job, adstream), sessions)
