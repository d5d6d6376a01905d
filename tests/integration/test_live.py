"""Made-up streams that happen now, on a real broker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.operators.step import END
from common.runtime.run import now_ms
from common.streams.kafka.address import Address
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.source import KafkaSource
from common.streams.kafka.topics import recreate, topic_of
from tests.integration.conftest import Adstream, url

pytestmark = pytest.mark.integration

EVENTS = ("ad-views", "ad-clicks")
STREAMS = (*EVENTS, "advertisements")
QUIET = ("--late", 0, "--duplicates", 0, "--malformed", 0, "--disorder", "500ms")


@pytest.fixture
def topics(broker: Address) -> Address:
    recreate(broker, [topic_of(load(stream)) for stream in STREAMS])
    return broker


def records(address: Address, stream: str) -> Iterator[pa.Table]:
    source = KafkaSource.open(url(address), (stream,))
    for split in source.everything(0):
        for decoded in read_kafka(split, load(stream), END):
            assert decoded.dead.num_rows == 0
            yield decoded.records


def test_events_happen_now_until_so_many_were_sent(adstream: Adstream, topics: Address) -> None:
    started = now_ms()
    said = adstream("generate", "--to-kafka", url(topics), "--rate", 1_000, "--events", 2_500, *QUIET)
    assert said.code == 0, said.err
    ended = now_ms()
    found = [rows for stream in EVENTS for rows in records(topics, stream) if rows.num_rows]
    assert sum(rows.num_rows for rows in found) == 2_500
    times = [when for rows in found for when in rows["value"].combine_chunks().field("createdEventTime").to_pylist()]
    assert started - 1_000 < min(_ms(when) for when in times) <= max(_ms(when) for when in times) <= ended
    assert sum(rows.num_rows for rows in records(topics, "advertisements")) == 1_000
    assert re.search(r"^[\d,]+ events sent, 1,\d\d\d/s|9\d\d/s, \d+ ms behind$", said.err, re.MULTILINE)


def test_what_has_no_end_is_ended_by_an_interrupt(topics: Address, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "common.cli.main", "generate", "--to-kafka", url(topics), "--rate", "500"]
    with (tmp_path / "log").open("w+") as log:
        run = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while "events sent" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        code = run.wait(60)
    told = (tmp_path / "log").read_text()
    assert code == 0, told
    sent = int(re.search(r"events +│ +([\d,]+)", told)[1].replace(",", ""))  # type: ignore[index]
    assert sent == sum(KafkaSource.open(url(topics), EVENTS).ends().values()) > 0


def _ms(when: object) -> int:
    return when if isinstance(when, int) else round(when.timestamp() * 1000)  # type: ignore[attr-defined]
