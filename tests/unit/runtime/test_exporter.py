from __future__ import annotations

import math
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.errors import AdstreamError
from common.operators.step import BEGINNING, END
from common.runtime.exporter import Health, exported, families
from common.runtime.metrics import Metrics
from common.runtime.spec import JobSpec
from common.streams.folder import FolderSource, Position
from common.streams.source import Source

MINUTE = 60_000
NOW = 1_800_000_000_000
MEASURED = Metrics(3, NOW - 1_000, 0.25, 1.5, NOW - 90_000, Position(), {"records_in": 10, "late-ones": 2}, {"open": 4})


def samples(metrics: Metrics) -> dict[str, float]:
    found = (sample for family in families(metrics, ("sessions", "local"), NOW) for sample in family.samples)
    return {sample.name: sample.value for sample in found}


def test_every_counter_and_gauge_becomes_a_metric_by_one_rule() -> None:
    assert samples(MEASURED) == {
        "adstream_records_in_total": 10,
        "adstream_late_ones_total": 2,
        "adstream_open": 4,
        "adstream_steps_total": 3,
        "adstream_busy_seconds_total": 1.5,
        "adstream_step_seconds": 0.25,
        "adstream_step_timestamp_seconds": (NOW - 1_000) / 1000,
        "adstream_watermark_timestamp_seconds": (NOW - 90_000) / 1000,
        "adstream_watermark_lag_seconds": 90,
    }


def test_metrics_are_labelled_with_the_job_and_its_engine() -> None:
    for family in families(MEASURED, ("sessions", "spark"), NOW):
        assert [sample.labels for sample in family.samples] == [{"job": "sessions", "engine": "spark"}]


def test_a_watermark_that_is_no_time_has_no_lag() -> None:
    at_first, at_last = samples(Metrics(watermark=BEGINNING)), samples(Metrics(watermark=END))
    assert math.isnan(at_first["adstream_watermark_lag_seconds"])
    assert at_last["adstream_watermark_lag_seconds"] == 0


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    for stream in ("ad-views", "ad-clicks"):
        (tmp_path / "in" / stream).mkdir(parents=True)
    return tmp_path / "in"


@pytest.fixture
def health(tmp_path: Path, inputs: Path) -> Health:
    return Health(tmp_path / "kept", lambda: FolderSource.open(inputs, ("ad-views", "ad-clicks")))


def test_a_quiet_job_is_well(health: Health) -> None:
    assert health.probe(5 * MINUTE, NOW)[0]
    assert health.probe(5 * MINUTE, NOW + 500 * MINUTE)[0]


def test_a_job_that_takes_nothing_of_what_has_arrived_is_stuck_after_a_while(health: Health, inputs: Path) -> None:
    health.probe(5 * MINUTE, NOW)
    (inputs / "ad-views" / "1.jsonl").touch()
    assert health.probe(5 * MINUTE, NOW + 500 * MINUTE)[0], "it has only now arrived"
    assert health.probe(5 * MINUTE, NOW + 504 * MINUTE)[0]
    well, why = health.probe(5 * MINUTE, NOW + 505 * MINUTE)
    assert (well, why) == (False, "0 steps, watermark beginning; the next step has waited for 5m")


def test_a_job_that_has_more_to_take_than_it_can_is_well(health: Health, inputs: Path, tmp_path: Path) -> None:
    (inputs / "ad-views" / "1.jsonl").touch()
    for step in range(5):
        Metrics(steps=step).save(tmp_path / "kept")
        assert health.probe(5 * MINUTE, NOW + step * 4 * MINUTE)[0]


def test_an_input_that_does_not_answer_is_no_reason_to_start_the_job_again(tmp_path: Path) -> None:
    def broken() -> Source:
        raise AdstreamError("the broker does not answer")

    well, why = Health(tmp_path, broken).probe(0, NOW)
    assert well
    assert "the input can't be asked (the broker does not answer)" in why


@pytest.fixture
def url(tmp_path: Path, inputs: Path) -> Iterator[str]:
    MEASURED.save(tmp_path / "kept")
    kept = str(tmp_path / "kept")
    spec = JobSpec("sessions", "local", "stream", str(inputs), str(tmp_path), kept, metrics="127.0.0.1:0")
    with exported(spec) as url:
        yield url


def answer(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_they_are_served_as_prometheus_reads_them(url: str) -> None:
    status, text = answer(f"{url}/metrics")
    assert status == 200
    read = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert read["adstream_records_in_total"] == 10
    assert read.keys() == samples(MEASURED).keys()


def test_the_probe_answers_with_its_reason(url: str, inputs: Path) -> None:
    assert answer(f"{url}/healthz") == (200, "3 steps, watermark 2027-01-15T07:58:30.000Z; nothing waits\n")
    (inputs / "ad-views" / "1.jsonl").touch()
    assert answer(f"{url}/healthz?patience=0")[0] == 503
    assert answer(f"{url}/healthz?patience=soon")[0] == 400
    assert answer(f"{url}/other") == (404, "there are /metrics and /healthz\n")


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        spec = JobSpec("sessions", "local", "stream", str(tmp_path), str(tmp_path), str(tmp_path), metrics=place)
        with pytest.raises(AdstreamError, match=f"metrics can't be served at {place} "), exported(spec):
            pass
