"""What each of a job's last steps did."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.runtime.checkpoint import HISTORY, Checkpoint
from common.runtime.history import TakenStep, taken_steps


def taken(step: int, completed: int = 0) -> TakenStep:
    return TakenStep(step, completed, newest=1_000 + step, watermark=900 + step, counters={"late": step})


def test_steps_come_back_in_order(tmp_path: Path) -> None:
    for step in range(3):
        taken(step).append(tmp_path)
    assert taken_steps(tmp_path) == [taken(0), taken(1), taken(2)]


def test_a_step_that_was_taken_again_counts_as_it_was_taken_last(tmp_path: Path) -> None:
    for step in (taken(0), taken(1), taken(1, completed=5), taken(2)):
        step.append(tmp_path)
    assert taken_steps(tmp_path) == [taken(0), taken(1, completed=5), taken(2)]


def test_a_job_that_has_not_begun_has_no_steps(tmp_path: Path) -> None:
    assert taken_steps(tmp_path / "nothing") == []


@pytest.mark.parametrize("torn", ['{"step": 1, "comp', '{"step": 1, "unknown": 2}\n', "[]\n"])
def test_a_line_that_is_none_is_passed_over(tmp_path: Path, torn: str) -> None:
    taken(0).append(tmp_path)
    with (tmp_path / HISTORY).open("a") as file:
        file.write("\n" + torn)
    assert taken_steps(tmp_path) == [taken(0)]


def test_a_step_behind_a_line_that_was_cut_off_is_found(tmp_path: Path) -> None:
    taken(0).append(tmp_path)
    with (tmp_path / HISTORY).open("a") as file:
        file.write('\n{"step": 1, "comp')
    taken(2).append(tmp_path)
    assert taken_steps(tmp_path) == [taken(0), taken(2)]


def test_the_oldest_steps_go_and_the_file_stays_small(tmp_path: Path) -> None:
    for step in range(1_000):
        taken(step).append(tmp_path, most_bytes=4_000)
        assert (tmp_path / HISTORY).stat().st_size <= 4_000
    steps = [found.step for found in taken_steps(tmp_path)]
    assert steps == list(range(steps[0], 1_000))
    assert len(steps) >= 10


def test_a_job_that_begins_anew_has_no_steps(tmp_path: Path) -> None:
    taken(0).append(tmp_path)
    Checkpoint(tmp_path).clear(tmp_path)
    assert taken_steps(tmp_path) == []
