from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import LOCK
from common.runtime.checkpoint import Checkpoint
from common.streams.kafka import admin, topics
from common.streams.kafka.address import Address
from tests.integration.conftest import Adstream, Said, url
from tests.producing import produce_folder

pytestmark = pytest.mark.integration

INPUTS = ("ad-views", "ad-clicks")


class Job:
    """The job `sessions` on a broker, with its last run known."""

    def __init__(self, adstream: Adstream, broker: Address, output: Path) -> None:
        self.adstream = adstream
        self.broker = broker
        self.output = output

    def run(self) -> Said:
        place = url(self.broker)
        options = ("--mode", "stream", "--until-caught-up", "--output", self.output)
        return self.adstream("run", "sessions", "--engine", "local", "--input", place, "--sink", place, *options)

    def call(self, *command: str) -> Said:
        return self.adstream(*command, "--output", self.output)

    def produce(self, folder: Path) -> int:
        return produce_folder(self.broker, folder, INPUTS)

    @property
    def taken(self) -> dict[str, int]:
        manifest = Checkpoint(self.output / "_checkpoint").load()
        assert manifest is not None
        return dict(manifest.position.counts)


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views and clicks of so many users that every partition has some: the watermark moves, sessions close."""
    folder = tmp_path_factory.mktemp("ads")
    generate(GeneratorSettings(events=5000), folder, "jsonl")
    return folder


@pytest.fixture
def job(broker: Address, adstream: Adstream, tmp_path: Path, ads: Path) -> Job:
    """The job, caught up."""
    outputs = ("ad-sessions", "late-events", "dead-letters")
    used = [*(topics.topic_of(load(stream)) for stream in (*INPUTS, *outputs)), *topics.internal_topics("sessions")]
    topics.recreate(broker, used)  # whatever other tests have left there
    job = Job(adstream, broker, tmp_path / "out")
    job.produce(ads)
    said = job.run()
    assert said.code == 0, said.err
    return job


def behind(said: Said) -> dict[str, int]:
    rows = re.findall(r"^ (\S+/\d+|all) +(?:\d+ +)?([\d,]+) +[\d.,]+", said.out, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_a_job_that_is_caught_up_has_no_lag(job: Job) -> None:
    found = behind(job.call("lag", "sessions"))
    assert len(found) == 25 and set(found.values()) == {0}


def test_lag_counts_what_has_arrived_since(job: Job, ads: Path) -> None:
    sent = job.produce(ads)
    said = job.call("lag", "sessions")
    found = behind(said)
    assert found.pop("all") == sent == sum(found.values())
    assert float(said.out.splitlines()[-1].split()[-1]) > 0


def test_offsets_are_shown(job: Job) -> None:
    said = job.call("offsets", "show", "sessions")
    rows = {row[0]: int(row[3]) for row in map(str.split, said.out.splitlines()[1:])}
    assert rows == job.taken


def test_a_job_is_moved_back_and_takes_the_records_again(job: Job) -> None:
    before = job.taken
    assert job.call("offsets", "reset", "sessions").code == 0
    assert set(job.taken.values()) == {0}
    assert job.run().code == 0
    assert job.taken == before
    metrics = json.loads((job.output / "_run" / "summary.json").read_text())["metrics"]
    assert metrics["records_in"] == 2 * sum(before.values())


def test_one_partition_is_moved(job: Job) -> None:
    before = job.taken
    assert job.call("offsets", "set", "sessions", "ad-views/0=1").code == 0
    assert job.taken == {**before, "ad-views/0": 1}


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("ad-view/0=1", "unknown partition 'ad-view/0': did you mean 'ad-views/0'?"),
        ("ad-views/0=99999999", "partition 'ad-views/0' has no offset 99999999: choose from 0 to "),
        ("ad-views/0", "'ad-views/0' is not PARTITION=OFFSET: write ad-views/0=1500"),
    ],
)
def test_a_job_is_not_moved_to_where_nothing_is(job: Job, assignment: str, problem: str) -> None:
    before = job.taken
    said = job.call("offsets", "set", "sessions", assignment)
    assert (said.code, said.err.startswith(f"adstream: {problem}")) == (2, True), said.err
    assert job.taken == before


def test_expired_records_stop_a_job_until_their_loss_is_accepted(job: Job, ads: Path) -> None:
    lost = job.produce(ads)
    client = AdminClient(job.broker.client())
    ends = {
        TopicPartition(stream, partition.number, partition.end)
        for stream in INPUTS
        for partition in admin.partitions(job.broker, stream)
    }
    for future in client.delete_records(list(ends)).values():
        future.result()
    refused = job.run()
    assert refused.code == 2
    assert f"adstream: up to {lost:,} records of 24 partitions expired unread" in refused.err
    assert job.call("offsets", "advance", "sessions").code == 0
    assert sum(job.taken.values()) == sum(end.offset for end in ends)
    assert lost > 0
    assert job.run().code == 0


def test_a_job_that_runs_is_neither_moved_nor_reset(job: Job) -> None:
    before = job.taken
    with (job.output / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for command in (("offsets", "reset"), ("offsets", "advance"), ("offsets", "set"), ("reset",)):
            arguments = ("ad-views/0=1",) if command[-1] == "set" else ()
            said = job.call(*command, "sessions", *arguments)
            assert (said.code, "another run is writing to it" in said.err) == (2, True)
        assert job.call("lag", "sessions").code == 0
    assert job.taken == before


def test_reset_asks_first(job: Job) -> None:
    before = job.taken
    said = job.call("reset", "sessions")
    assert (said.code, "adstream: nobody is there to be asked: add --yes" in said.err) == (2, True)
    assert job.taken == before


def test_a_job_that_was_reset_begins_anew(job: Job) -> None:
    before = job.taken
    assert job.call("reset", "sessions", "--yes").code == 0
    assert Checkpoint(job.output / "_checkpoint").load() is None
    written = sum(partition.end for partition in admin.partitions(job.broker, "ad-sessions"))
    assert written > 0
    assert job.run().code == 0
    assert job.taken == before
    assert sum(partition.end for partition in admin.partitions(job.broker, "ad-sessions")) > written


def test_reset_leaves_outputs_that_another_job_may_write(job: Job) -> None:
    written = sum(partition.end for partition in admin.partitions(job.broker, "ad-sessions"))
    assert written > 0
    said = job.call("reset", "sessions", "--outputs", "--yes")
    assert said.code == 0
    assert re.search("stream 'ad-sessions' at .*: stays, as another job may write it", said.out)
    assert sum(partition.end for partition in admin.partitions(job.broker, "ad-sessions")) == written
    assert admin.differences(job.broker, ("ad-sessions", "late-events", "dead-letters", "sessions-epochs")) == []
    assert sum(partition.end for partition in admin.partitions(job.broker, "ad-views")) > 0


def test_the_output_of_no_run_is_refused(adstream: Adstream, tmp_path: Path) -> None:
    said = adstream("lag", "sessions", "--output", tmp_path)
    assert (said.code, said.err) == (
        2,
        f"adstream: output '{tmp_path}': no run is known there: give the --output of the job's runs\n",
    )
