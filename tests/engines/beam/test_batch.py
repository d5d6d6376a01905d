"""`batch` mode: one pass over everything gives what the local engine gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.beam.conftest import START, Submit, random_steps, record, write_step, write_steps

pytestmark = pytest.mark.beam


def test_gives_the_answer_of_the_local_engine(submit: Submit, tmp_path: Path) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=1, steps=12))
    on_beam, on_local = submit("beam", streams, mode="batch"), submit("local", streams, mode="batch")
    assert on_beam.rows == on_local.rows
    assert on_beam.sessions
    assert on_beam.dead
    assert on_beam.summary.metrics == on_local.summary.metrics
    assert on_beam.summary.balanced


def test_a_drained_stream_without_late_events_gives_the_same_table(submit: Submit, tmp_path: Path) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=2, steps=12))
    bounded = submit("beam", streams, mode="batch", out="bounded")
    streamed = submit("beam", streams, drain=True, grace="1d", out="streamed")
    assert bounded.rows == streamed.rows
    assert streamed.summary.metrics["late"] == 0


def test_no_records_give_no_sessions(submit: Submit, tmp_path: Path) -> None:
    write_step(tmp_path / "in", "0", [])
    answer = submit("beam", tmp_path / "in", mode="batch")
    assert answer.sessions == []
    assert answer.summary.balanced


def test_parts_are_a_shard_each_and_not_a_bucket(submit: Submit, tmp_path: Path) -> None:
    write_step(tmp_path / "in", "0", [record("ad-views", f"u{n}", START) for n in range(50)])
    submit("beam", tmp_path / "in", mode="batch", out="out", parallelism=3)
    assert len(list((tmp_path / "out" / "ad-sessions").glob("batch.*.jsonl"))) == 3


def test_a_second_run_replaces_the_first(submit: Submit, tmp_path: Path) -> None:
    write_step(tmp_path / "in", "0", [record("ad-views", "u1", START), record("ad-views", "u2", START)])
    first = submit("beam", tmp_path / "in", mode="batch", out="out", gap="5m")
    again = submit("beam", tmp_path / "in", mode="batch", out="out", gap="10m")
    assert len(first.sessions) == len(again.sessions) == 2
    assert first.sessions != again.sessions
