"""Partitions without events, on a real broker: they hold the watermark back for a set time only."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.engines.launch import launch
from common.operators.step import BEGINNING
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.kafka.address import Address
from common.streams.kafka.topics import internal_topics, recreate, topic_of
from tests.integration.conftest import url
from tests.producing import produce_folder

pytestmark = pytest.mark.integration

STREAMS = ("ad-views", "ad-clicks")
START = 1_767_225_600_000
MINUTE = 60_000
IDLE_SECONDS = 3


@pytest.fixture
def topics(broker: Address) -> Address:
    names = (*STREAMS, "ad-sessions", "late-events", "dead-letters")
    recreate(broker, [*(topic_of(load(stream)) for stream in names), *internal_topics("sessions")])
    return broker


def arrive(address: Address, folder: Path, minute: int) -> None:
    """One user views something: on one partition of 24."""
    value = {"advertisementId": 1, "createdEventTime": START + minute * MINUTE}
    for stream in STREAMS:
        (folder / stream).mkdir(parents=True)
    (folder / "ad-views" / "0.jsonl").write_text(json.dumps({"key": "ada", "value": value}) + "\n")
    assert produce_folder(address, folder, STREAMS) == 1


def caught_up(address: Address, folder: Path) -> Summary:
    settings = {"idle_after": IDLE_SECONDS * 1000, "out_of_orderness": 0}
    places = {"input": url(address), "output": str(folder / "out"), "checkpoint": str(folder / "checkpoint")}
    spec = JobSpec("sessions", "local", "stream", **places, settings=settings, until_caught_up=True, sink=url(address))
    return launch(spec, lambda _: None)


def test_silent_partitions_hold_the_watermark_until_their_time_is_up(topics: Address, tmp_path: Path) -> None:
    arrive(topics, tmp_path / "first", 0)
    assert caught_up(topics, tmp_path).watermark == BEGINNING
    time.sleep(IDLE_SECONDS)
    assert caught_up(topics, tmp_path).watermark == BEGINNING, "nothing has arrived, so no time has passed"
    arrive(topics, tmp_path / "second", 90)
    summary = caught_up(topics, tmp_path)
    assert summary.watermark == START + 90 * MINUTE - 1
    assert summary.metrics["sessions_upserted"] == 1
