"""A broker or registry that goes away: the job waits, or says so; nothing is lost, nothing is doubled."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.retry import OUTAGE_SECONDS
from common.runtime.summary import Summary
from common.services.stack import Stack
from common.streams.kafka.address import Address
from common.streams.kafka.sink import KafkaSink
from tests.integration.conftest import Adstream
from tests.integration.outages.job import (
    INPUTS,
    LATE,
    NOBODY,
    OUTPUTS,
    PATIENCE_SECONDS,
    Job,
    caught_up,
    check_written,
    drained,
    errors,
    records,
    restart,
    until,
)
from tests.producing import produce_folder

pytestmark = pytest.mark.integration


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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["spark", "flink"])
def test_a_broker_that_stays_away_from_an_engine_for_longer_than_a_task_waits(
    engine: str, job: Job, services: Stack, halves: tuple[Path, Path], adstream: Adstream, sessions: str
) -> None:
    produce_folder(job.broker, halves[0], INPUTS)
    with replace(job, engine=engine).following("--retry", "10m") as run:
        run.says("step 0:")
        list(services.down(["kafka"]))
        try:
            run.says("; starting again where it was", OUTAGE_SECONDS + PATIENCE_SECONDS)
        finally:
            list(services.up(["kafka"]))
        produce_folder(job.broker, halves[1], INPUTS)
        until(lambda: caught_up(job), "the end of the input", 2 * PATIENCE_SECONDS)
        assert run.process.poll() is None, run.said
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
