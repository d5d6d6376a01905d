"""`stream` mode: state and timers by bucket give what the local engine gives, step by step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.engines.beam import translate
from common.errors import AdstreamError
from common.runtime.checkpoint import Checkpoint
from tests.engines.beam.conftest import MINUTE, START, Submit, random_steps, record, write_step, write_steps

pytestmark = pytest.mark.beam

STRATEGIES = {
    "drop": {"out_of_orderness": 0, "grace": 0},
    "wait": {"out_of_orderness": "1h", "grace": 0},
    "grace": {"out_of_orderness": "1m", "grace": "1h"},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_gives_the_answer_of_the_local_engine(submit: Submit, tmp_path: Path, strategy: str) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=3, steps=15))
    settings = STRATEGIES[strategy]
    on_beam, on_local = (
        submit("beam", streams, drain=True, **settings),
        submit("local", streams, drain=True, **settings),
    )
    assert on_beam.rows == on_local.rows
    assert on_beam.late
    assert on_beam.dead
    assert on_beam.summary.metrics == on_local.summary.metrics
    assert on_beam.summary.steps == on_local.summary.steps == 16


def test_every_step_writes_what_it_writes_on_the_local_engine(submit: Submit, tmp_path: Path) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=4, steps=8))
    submit("beam", streams, drain=True)
    submit("local", streams, drain=True)
    for stream in ("ad-sessions", "late-events", "dead-letters"):
        assert _by_step(tmp_path / "beam-out" / stream) == _by_step(tmp_path / "local-out" / stream)


def test_caught_up_leaves_the_checkpoint_of_the_local_engine(submit: Submit, tmp_path: Path) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=5, steps=6))
    submit("beam", streams)
    submit("local", streams)
    on_beam, on_local = (Checkpoint(tmp_path / f"{engine}-kept").load() for engine in ("beam", "local"))
    assert on_beam is not None
    assert on_local is not None
    assert (on_beam.step, on_beam.position, on_beam.clock) == (on_local.step, on_local.position, on_local.clock)
    assert on_beam.counters == on_local.counters
    assert [b.due for b in on_beam.rounds[0]] == [b.due for b in on_local.rounds[0]]


def test_a_late_event_that_joins_two_emitted_sessions_retracts_both(submit: Submit, tmp_path: Path) -> None:
    streams = tmp_path / "in"
    write_step(streams, "0", [record("ad-views", "u", START), record("ad-clicks", "u", START + 50 * MINUTE)])
    write_step(streams, "1", [record(s, "other", START + 100 * MINUTE) for s in ("ad-views", "ad-clicks")])
    write_step(streams, "2", [record("ad-clicks", "u", START + 25 * MINUTE)])
    answer = submit("beam", streams, grace="2h", gap="30m", out_of_orderness=0)
    written = (tmp_path / "beam-out" / "ad-sessions").glob("000000002.*.jsonl")
    corrections = [line for path in written for line in path.read_text().splitlines()]
    assert [line.count('"value":null') for line in corrections] == [1, 1, 0]
    assert answer.summary.metrics["sessions_retracted"] == 2
    assert len(answer.sessions) == 1


def test_a_silent_stream_holds_the_watermark_until_it_is_idle(submit: Submit, tmp_path: Path) -> None:
    for step in range(6):
        write_step(tmp_path / "in", str(step), [record("ad-views", "u", START + step * 60 * MINUTE)])
        for path in (tmp_path / "in").glob(f"*/{step}.jsonl"):
            os.utime(path, (step * 60, step * 60))
    assert submit("beam", tmp_path / "in", out="a", kept="ka").sessions == []
    assert len(submit("beam", tmp_path / "in", out="b", kept="kb", idle_after="1m").sessions) == 5


@pytest.mark.parametrize(("begun", "ended"), [("local", "beam"), ("beam", "local"), ("beam", "beam")])
def test_goes_on_from_a_checkpoint_of_any_engine(submit: Submit, tmp_path: Path, begun: str, ended: str) -> None:
    steps = random_steps(seed=6, steps=14)
    whole = submit("local", write_steps(tmp_path / "whole", steps), drain=True)
    streams = write_steps(tmp_path / "in", steps[:6])
    submit(begun, streams, out="out", kept="kept")
    write_steps(streams, steps[6:], first=6)
    halves = submit(ended, streams, out="out", kept="kept", drain=True, parallelism=3)
    assert halves.rows == whole.rows
    assert halves.summary.metrics == whole.summary.metrics


def test_a_long_backlog_is_taken_in_several_pipelines(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=7, steps=7))
    whole = submit("beam", streams, drain=True, out="whole", kept="a")
    monkeypatch.setattr(translate, "STEPS_A_PIPELINE", 3)
    legs = submit("beam", streams, drain=True, out="legs", kept="b")
    assert legs.rows == whole.rows
    assert legs.summary.metrics == whole.summary.metrics


def test_a_run_that_was_killed_while_delivering_is_taken_again(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=8, steps=6))
    whole = submit("local", streams, drain=True)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            submit("beam", streams, drain=True)
    assert submit("beam", streams, drain=True).rows == whole.rows


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_bundles_that_are_tried_again_change_nothing(submit: Submit, tmp_path: Path, mode: str) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=12, steps=6))
    settings = {"mode": mode, "drain": mode == "stream"}
    repeated = submit("beam", streams, options={"direct_runner_bundle_repeat": "1"}, **settings)
    once = submit("local", streams, **settings)
    assert repeated.rows == once.rows
    assert repeated.summary.metrics == once.summary.metrics


def test_nothing_new_leaves_everything_as_it_was(submit: Submit, tmp_path: Path) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=9, steps=3))
    first, again = submit("beam", streams), submit("beam", streams)
    assert first.rows == again.rows
    assert first.summary.metrics == again.summary.metrics


@pytest.mark.parametrize(("setting", "value"), [("gap", "10m"), ("buckets", 4)])
def test_a_checkpoint_of_another_grouping_is_refused(
    submit: Submit, tmp_path: Path, setting: str, value: object
) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=10, steps=1))
    submit("beam", streams)
    with pytest.raises(AdstreamError, match=rf"made with (sessions\.)?{setting}="):
        submit("beam", streams, **{setting: value})


def test_following_a_folder_is_refused(submit: Submit, tmp_path: Path) -> None:
    write_step(tmp_path / "in", "0", [])
    with pytest.raises(AdstreamError, match="--until-caught-up"):
        submit("beam", tmp_path / "in", until_caught_up=False)


def test_an_unreadable_file_is_one_clear_line(submit: Submit, tmp_path: Path) -> None:
    write_step(tmp_path / "in", "0", [])
    (tmp_path / "in" / "ad-views" / "1.parquet").write_bytes(b"not parquet")
    with pytest.raises(AdstreamError, match=r"1\.parquet") as refused:
        submit("beam", tmp_path / "in")
    assert "\n" not in str(refused.value)


def _by_step(folder: Path) -> dict[str, list[str]]:
    steps: dict[str, list[str]] = {}
    for path in folder.glob("*.jsonl"):
        steps.setdefault(path.name.partition(".")[0], []).extend(path.read_text().splitlines())
    return {step: sorted(lines) for step, lines in steps.items()}
