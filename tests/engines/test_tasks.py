"""Plain tasks on the engines that run them: answers in order, failures with their remedy and exit code."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from common.engines.tasks import opened
from common.errors import AdstreamError, ExitCode, UnavailableError
from common.runtime.spec import JobSpec
from tests.running import each_engine


def half(number: int) -> int:
    if number % 2:
        raise UnavailableError(f"{number} is odd", "take another")
    return number // 2


def spec(engine: str, output: Path) -> JobSpec:
    return JobSpec("halves", engine, "batch", "", str(output), "", settings={"parallelism": 2})


@pytest.mark.parametrize("engine", [each for each in each_engine() if "flink" not in str(each)])
def test_answers_come_in_order_and_failures_as_they_are(engine: str, tmp_path: Path) -> None:
    with opened(spec(engine, tmp_path)) as side_by_side:
        assert side_by_side([partial(half, number) for number in (8, 2, 6)]) == [4, 1, 3]
        assert side_by_side([partial(half, 4)]) == [2]
        with pytest.raises(AdstreamError) as refused:
            side_by_side([partial(half, number) for number in (2, 3)])
    assert (refused.value.problem, refused.value.remedy) == ("3 is odd", "take another")
    assert refused.value.code is ExitCode.UNAVAILABLE


def test_an_engine_that_runs_no_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="unknown engine for tasks 'flink'"), opened(spec("flink", tmp_path)):
        pass
