"""A job that follows its input serves the same metrics on every engine."""

from __future__ import annotations

import re
import time
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.engines.registry import available
from common.runtime.exporter import families
from common.runtime.metrics import Metrics
from common.runtime.spec import JobSpec
from tests.running import kill, started

PATIENCE_SECONDS = 120
OF_EVERY_JOB = {
    "adstream_records_in_total",
    "adstream_dead_letters_total",
    "adstream_steps_total",
    "adstream_busy_seconds_total",
    "adstream_step_seconds",
    "adstream_step_timestamp_seconds",
    "adstream_watermark_timestamp_seconds",
    "adstream_watermark_lag_seconds",
}
OF_SESSIONS = {
    "adstream_late_total",
    "adstream_duplicates_total",
    "adstream_actions_out_total",
    "adstream_sessions_upserted_total",
    "adstream_sessions_retracted_total",
    "adstream_sessions_held",
    "adstream_sessions_open",
    "adstream_actions_open",
}


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics") / "streams"
    generate(GeneratorSettings(events=2_000, users=50, files=3), folder)
    return folder


@pytest.mark.parametrize(
    "engine", ["local", pytest.param("spark", marks=pytest.mark.spark), pytest.param("flink", marks=pytest.mark.flink)]
)
def test_a_job_that_runs_serves_its_metrics(engine: str, streams: Path, tmp_path: Path) -> None:
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    spec = replace(_spec(engine, streams, tmp_path), metrics="127.0.0.1:0")
    log = tmp_path / "run.log"
    run = started(spec, log=log)
    try:
        served = _served(log)
        health = urllib.request.urlopen(served.replace("/metrics", "/healthz"), timeout=10).read().decode()
        found = {
            sample.name: sample
            for family in text_string_to_metric_families(urllib.request.urlopen(served, timeout=10).read().decode())
            for sample in family.samples
        }
    finally:
        with suppress(ProcessLookupError):
            kill(run)
    assert found.keys() == OF_EVERY_JOB | OF_SESSIONS
    assert found["adstream_steps_total"].labels == {"job": "sessions", "engine": engine}
    assert found["adstream_steps_total"].value == 3
    assert found["adstream_records_in_total"].value > 2_000
    assert re.fullmatch(r"3 steps, watermark 2026-\S+Z; nothing waits\n", health)


@pytest.mark.beam
def test_beam_measures_the_same_though_it_follows_nothing(streams: Path, tmp_path: Path) -> None:
    launch(replace(_spec("beam", streams, tmp_path), until_caught_up=True), lambda _: None)
    measured = Metrics.load(tmp_path / "checkpoint")
    names = {sample.name for family in families(measured, ("", ""), 0) for sample in family.samples}
    assert (names, measured.steps) == (OF_EVERY_JOB | OF_SESSIONS, 3)


def _spec(engine: str, streams: Path, folder: Path) -> JobSpec:
    output, kept = str(folder / "out"), str(folder / "checkpoint")
    return JobSpec("sessions", engine, "stream", str(streams), output, kept)


def _served(log: Path) -> str:
    """Where a run serves its metrics, once it has taken the three steps there are."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"metrics at (\S+)", log.read_text())
        if found and "adstream_steps_total" in (text := _read(found[1])) and re.search(r"steps_total\{.*\} 3\.0", text):
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())
