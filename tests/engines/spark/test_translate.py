"""The Spark engine gives the local engine's answer, in either mode and whatever the late strategy."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines.entry import Failure, run_spec
from common.engines.local.translate import run as run_local
from common.errors import AdstreamError, ExitCode
from common.runtime.spec import JobSpec
from tests.engines.spark.conftest import MINUTE, START, STREAMS, answer, beside, line, run, write, write_random

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark")]


def test_batch_is_the_answer_of_the_local_engine(spec: JobSpec) -> None:
    write_random(spec.input, range(6))
    on_spark = replace(spec, mode="batch")
    on_local = beside(on_spark)
    summary, reference = run(on_spark), run(on_local)
    assert answer(on_spark) == answer(on_local)
    assert summary.metrics == reference.metrics
    assert summary.balanced and summary.metrics["dead_letters"] > 0


@pytest.mark.parametrize("settings", [{"grace": "0"}, {"out_of_orderness": "100m", "grace": "0"}, {"grace": "2h"}])
def test_stream_is_the_answer_of_the_local_engine(spec: JobSpec, settings: dict[str, str]) -> None:
    write_random(spec.input, range(6))
    on_spark = replace(spec, drain=True, settings={**spec.settings, **settings})
    on_local = beside(on_spark)
    summary, reference = run(on_spark), run(on_local)
    assert answer(on_spark) == answer(on_local)
    assert (summary.metrics, summary.steps) == (reference.metrics, reference.steps)
    assert summary.balanced


def test_delta_tables_hold_what_files_hold(spec: JobSpec) -> None:
    write_random(spec.input, range(3))
    to_delta = replace(beside(spec, "spark"), format="delta", drain=True)
    run(to_delta)
    run(replace(spec, drain=True))
    assert answer(to_delta) == answer(spec)


def test_a_late_event_that_joins_two_emitted_sessions_corrects_them(spec: JobSpec) -> None:
    write(spec.input, "0", [line("u", 0), line("u", 50)], [line("other", 0)])
    write(spec.input, "1", [line("other", 100)], [line("other", 100)])
    write(spec.input, "2", [line("u", 25)], [])
    run(replace(spec, settings={**spec.settings, "grace": "1h50m"}))
    written = [
        json.loads(text)
        for path in Path(spec.output, "ad-sessions").glob("000000002.*")
        for text in path.read_text().splitlines()
    ]
    windows = [(r["key"]["window"]["start"], r["key"]["window"]["end"], r["value"] is None) for r in written]
    assert [w for w in windows if w[2]] == [
        (START, START + 30 * MINUTE, True),
        (START + 50 * MINUTE, START + 80 * MINUTE, True),
    ]
    assert [w for w in windows if not w[2]] == [(START, START + 80 * MINUTE, False)]
    (corrected,) = (r for r in written if r["value"])
    assert [a["eventTime"] for a in corrected["value"]["actions"]] == [START, START + 25 * MINUTE, START + 50 * MINUTE]


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_streams_without_files_give_nothing(spec: JobSpec, mode: str) -> None:
    for stream in STREAMS:
        Path(spec.input, stream).mkdir(parents=True)
    summary = run(replace(spec, mode=mode, drain=True))
    assert summary.metrics.get("records_in", 0) == 0
    assert answer(spec).sessions == []


def test_steps_without_events_count_towards_idleness(spec: JobSpec) -> None:
    idle = replace(spec, settings={**spec.settings, "idle_after": 2 * MINUTE})
    write(spec.input, "0", [line("u", 0)], [])
    write(spec.input, "1", [line("v", 90)], [])
    for name in ("2", "3"):
        write(spec.input, name, [], [])
    for path in Path(spec.input).glob("*/*.jsonl"):
        os.utime(path, (60 * int(path.stem), 60 * int(path.stem)))
    run_local(beside(idle))
    summary = run(idle)
    assert summary.steps == 4
    assert summary.watermark > START
    assert answer(idle).sessions == answer(beside(idle)).sessions != []


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_a_file_that_cannot_be_read_is_one_line(spec: JobSpec, mode: str) -> None:
    write_random(spec.input, range(1))
    Path(spec.input, "ad-views", "00001.parquet").write_bytes(b"no such thing")
    with pytest.raises(AdstreamError, match=r"00001\.parquet") as refused:
        run(replace(spec, mode=mode))
    assert refused.value.code is ExitCode.REFUSED
    assert "\n" not in str(refused.value)


def test_a_file_that_sorts_before_those_taken_is_refused(spec: JobSpec) -> None:
    write_random(spec.input, range(1, 2))
    run(spec)
    write_random(spec.input, range(1))
    path = Path(spec.output, "_run", "spec.json")
    spec.save(path)
    assert run_spec(run, [str(path)]) == ExitCode.REFUSED
    failure = Failure.load(Path(spec.output))
    assert failure is not None and "sort up to '00001'" in failure.problem
