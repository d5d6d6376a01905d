"""What goes wrong with a broker and its registry, and what the job then does: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.errors import AdstreamError
from common.operators.step import END
from common.runtime.checkpoint import Checkpoint
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.services.process import load as record_of
from common.services.stack import Stack
from common.streams.folder import Position
from common.streams.kafka import topics
from common.streams.kafka.address import Address
from common.streams.kafka.producer import produce_folder
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.registry import ask
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.sink import KafkaSink
from common.streams.kafka.source import KafkaSource
from common.streams.materialise import digest, settled, table
from tests.integration.conftest import Adstream, Said, url

pytestmark = pytest.mark.integration

INPUTS = ("ad-views", "ad-clicks")
OUTPUTS = ("ad-sessions", "late-events", "dead-letters")
GRACE = 30 * 86_400_000
"""In ms: what is late depends on when the job happens to look, so nothing is."""
SETTINGS = ("--set", "buckets=8", "--set", f"grace={GRACE}")
PATIENCE_SECONDS = 90.0
NOBODY = "127.0.0.1:1"
LATE = {"stream": "ad-views", "value": "{}", "eventTime": 1, "watermark": 2, "grace": 0, "reason": "too late"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty(broker: Address) -> Address:
    """The broker, all streams of the job empty."""
    used = [topics.topic_of(load(stream)) for stream in (*INPUTS, *OUTPUTS)]
    topics.recreate(broker, [*used, *topics.internal_topics("sessions")])
    return broker


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events in disorder, with redeliveries."""
    folder = tmp_path_factory.mktemp("ads") / "streams"
    generate(GeneratorSettings(events=20_000, users=1_000, files=10, malformed=0.0), folder, "parquet")
    return folder


@pytest.fixture(scope="module")
def halves(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same events in two folders, the earlier files in the first: what is there before a job, and what comes then."""
    first, rest = (tmp_path_factory.mktemp("ads") / name for name in ("first", "rest"))
    for number, path in enumerate(sorted(ads.glob("*/*.parquet"), key=lambda path: path.name)):
        target = (first if number < 4 else rest) / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return first, rest


@pytest.fixture(scope="module")
def sessions(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the sessions of all events in one batch."""
    output = tmp_path_factory.mktemp("batch")
    settings = {"buckets": 8, "grace": GRACE}
    launch(JobSpec("sessions", "local", "batch", str(ads), str(output), str(output), settings=settings), lambda _: None)
    return digest(table(output, "ad-sessions", load("ad-sessions")))


@dataclass(frozen=True)
class Job:
    """The job `sessions` from a broker to a broker, on the local engine."""

    broker: Address
    output: Path

    @property
    def line(self) -> list[str]:
        place = url(self.broker)
        where = ["--input", place, "--sink", place, "--output", str(self.output)]
        return ["run", "sessions", "--engine", "local", "--mode", "stream", *where, *SETTINGS]

    @contextmanager
    def following(self, *options: str) -> Iterator[Follower]:
        """The job in a process of its own, until it is stopped."""
        log = self.output.with_suffix(f".{time.monotonic_ns()}.log")
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "common.cli.main", *self.line, *options], stdout=file, stderr=file, cwd=ROOT
            )
        try:
            yield Follower(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_SECONDS)


@dataclass(frozen=True)
class Follower:
    """A job that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str) -> None:
        """Waits until it has said something."""
        until(lambda: text in self.said or self.process.poll() is not None, f"'{text}'")
        assert text in self.said, self.said

    def ends(self) -> int:
        """Waits for its end; gives the exit code."""
        return self.process.wait(PATIENCE_SECONDS)


def until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.2)


def errors(said: Said | Follower) -> list[str]:
    """The lines that say what is wrong; those of the services' start and of steps left out."""
    text = said.err if isinstance(said, Said) else said.said
    return [line for line in text.splitlines() if line.startswith("adstream: ")]


def restart(services: Stack, *names: str, kill: bool = False) -> None:
    """Stops services and starts them again, where they were."""
    for name in names:
        record = record_of(services.home / name)
        assert record is not None
        if kill:
            os.kill(record.pid, signal.SIGKILL)
    list(services.down(names))
    list(services.up(names))


def records(address: Address, stream: str) -> Iterator[pa.Table]:
    source = KafkaSource.at(address, (stream,))
    for split in source.everything(2**25):
        for decoded in read_kafka(split, load(stream), END):
            assert decoded.dead.num_rows == 0
            yield decoded.records


def check_written(address: Address, summary_metrics: dict[str, int], wanted: str) -> None:
    """Every session is on the topic as often as the job says that it wrote it, and the table is that of the batch."""
    written = list(records(address, "ad-sessions"))
    counted = summary_metrics["sessions_upserted"] + summary_metrics["sessions_retracted"]
    assert sum(part.num_rows for part in written) == counted
    assert digest(settled(written, load("ad-sessions"))) == wanted


@pytest.fixture
def job(empty: Address, tmp_path: Path) -> Job:
    """The job, which has not run yet."""
    return Job(empty, tmp_path / "out")


def caught_up(job: Job) -> bool:
    """Whether the job has taken all that is in its input streams."""
    return taken(job.output / "_checkpoint") == KafkaSource.at(job.broker, INPUTS).ends()


def taken(checkpoint: Path) -> dict[str, int]:
    """The offset of each partition that is taken next; none before the first step."""
    manifest = Checkpoint(checkpoint).load()
    return dict(manifest.position.counts) if manifest else {}


def drained(job: Job, adstream: Adstream) -> dict[str, int]:
    """Lets the job emit all that is still open; gives its metrics."""
    said = adstream(*job.line, "--drain")
    assert said.code == 0, said.err
    return dict(Summary.load(job.output).metrics)


def test_a_broker_that_is_down_at_the_start(job: Job, adstream: Adstream) -> None:
    away = replace(job, broker=replace(job.broker, bootstrap=NOBODY))
    said = adstream(*away.line)
    (line,) = errors(said)
    assert said.code == 3
    assert line.startswith(
        f"adstream: stream 'ad-views': reading its partitions: the broker at {NOBODY} does not serve it ("
    )
    assert line.endswith("start it (adstream services up kafka), or correct the address")


def test_a_registry_that_is_down_at_the_start(job: Job, adstream: Adstream) -> None:
    away = replace(job, broker=replace(job.broker, registry=f"http://{NOBODY}"))
    said = adstream(*away.line)
    (line,) = errors(said)
    assert said.code == 3
    assert line.startswith(f"adstream: the schema registry at http://{NOBODY} does not answer (")
    assert line.endswith("start it (adstream services up registry), or correct the address")


def test_a_wait_for_a_registry_has_an_end(job: Job, adstream: Adstream) -> None:
    away = replace(job, broker=replace(job.broker, registry=f"http://{NOBODY}"))
    said = adstream(*away.line, "--retry", "3s")
    waits, gives_up = errors(said)
    assert said.code == 3
    assert waits.endswith("; trying again for up to 3s")
    assert ", after 3s of trying: start it" in gives_up


def test_a_run_waits_for_a_broker_and_a_registry(job: Job, services: Stack, ads: Path) -> None:
    sent = produce_folder(job.broker, ads, INPUTS)
    list(services.down(["kafka", "registry"]))
    try:
        with job.following("--drain", "--retry", "2m") as run:
            run.says("does not serve it")
            list(services.up(["kafka"]))
            run.says("the schema registry at")
            list(services.up(["registry"]))
            assert run.ends() == 0, run.said
        assert "it is served again after" in run.said
        assert Summary.load(job.output).metrics["records_in"] == sent
    finally:
        list(services.up(["kafka", "registry"]))


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_broker_that_is_restarted_in_the_middle(
    job: Job, services: Stack, halves: tuple[Path, Path], adstream: Adstream, sessions: str, kill: bool
) -> None:
    produce_folder(job.broker, halves[0], INPUTS)
    producer = threading.Thread(target=produce_folder, args=(job.broker, halves[1], INPUTS, 1_000))
    with job.following() as run:
        run.says("step 0:")
        producer.start()
        run.says("step 1:")
        restart(services, "kafka", kill=kill)
        producer.join()
        until(lambda: caught_up(job), "the end of the input")
        assert run.process.poll() is None, run.said
        assert errors(run) == []
    check_written(job.broker, drained(job, adstream), sessions)


class Cut(KafkaSink):
    """A sink whose broker is killed when all records of a transaction are on it, once."""

    def cut_by(self, services: Stack) -> Cut:
        _cut.append(services)
        return self

    def _produce(self, *arguments: Any) -> None:
        super()._produce(*arguments)
        if _cut:
            restart(_cut.pop(), "kafka", kill=True)


_cut: list[Stack] = []


def test_a_transaction_that_a_restart_cuts(empty: Address, services: Stack, tmp_path: Path) -> None:
    contracts = {stream: load(stream) for stream in OUTPUTS}
    sink = Cut(empty, "sessions", str(tmp_path), contracts)
    sink.recover("000000000")
    schema = contracts["late-events"].arrow
    expected = []
    for step in range(3):
        name = f"{step:09d}"
        with sink.writer(name, "p0") as writer:
            keys = [f"user {step}.{number}" for number in range(500)]
            expected += keys
            rows = [pa.array(keys), pa.array([LATE] * len(keys), schema.field("value").type)]
            writer.write({"late-events": pa.table(rows, schema=schema)})
        if step == 1:
            sink.cut_by(services)
        sink.deliver(name, writer.parts)
    assert _cut == []
    assert sink.delivered() == 2
    written = [key for part in records(empty, "late-events") for key in part["key"].to_pylist()]
    assert sorted(written) == sorted(expected)


def test_a_registry_that_is_away_in_the_middle_and_at_a_restart(
    job: Job, services: Stack, halves: tuple[Path, Path], adstream: Adstream, sessions: str
) -> None:
    produce_folder(job.broker, halves[0], INPUTS)
    producer = threading.Thread(target=produce_folder, args=(job.broker, halves[1], INPUTS, 2_000))
    try:
        with job.following() as run:
            run.says("step 0:")
            producer.start()
            run.says("step 1:")
            list(services.down(["registry"]))
            producer.join()
            until(lambda: caught_up(job), "the end of the input")
            assert errors(run) == []
        again = adstream(*job.line, "--drain")
        assert again.code == 0, again.err
        assert (
            f"does not answer (<urlopen error [Errno 111] Connection refused>); going on with the schemas in {job.output}"
            in again.err
        )
    finally:
        list(services.up(["registry"]))
    check_written(job.broker, dict(Summary.load(job.output).metrics), sessions)


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
        places[place] = (reason, record_value or record_key)
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
