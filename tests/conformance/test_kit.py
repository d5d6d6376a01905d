"""The verdict, the marks, the worker's line and the report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.operators.step import END
from common.runtime.summary import Summary
from tests.conformance import marks
from tests.conformance.case import Case, Letter, Step
from tests.conformance.jobs.sessions import SESSIONS
from tests.conformance.kit import ConformanceError, Ending, check
from tests.conformance.marks import Mark, marks_of
from tests.conformance.notation import parse_change, parse_event
from tests.conformance.outcome import Dead, Late, Outcome
from tests.conformance.report import Result, lines
from tests.conformance.runners import worker_line

STEP = Step(
    (parse_event("ada V1@0"), parse_event("ada C1@20")),
    watermark=19,
    raw={"ad-views": (b"{",)},
    out=(parse_change("ada 0..10 V1@0"),),
    late=(parse_event("eve V1@5"),),
    dead=(Letter("ad-views", 0, b"{", "malformed"),),
)
CASE = Case(
    "some-case",
    SESSIONS,
    "drop",
    "a case for the tests of the kit",
    {},
    (STEP,),
    end=(parse_change("ada 20..30 C1@20"),),
)
RIGHT = Outcome(
    changes={0: [parse_change("ada 0..10 V1@0")], 1: [parse_change("ada 20..30 C1@20")]},
    late={0: [Late(parse_event("eve V1@5"), -(2**62))]},
    dead={0: [Dead("ad-views", "0000.jsonl", 0, b"{", "malformed JSON: it ends")]},
    summary=Summary("sessions", "local", "stream", "", {"records_in": 4, "all": 4}, ("all",), 2, END, 0.1),
    failure=None,
)


def test_the_right_outcome_passes() -> None:
    check(CASE, RIGHT, Ending.of(CASE))


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (replace(RIGHT, changes={**RIGHT.changes, 1: []}), "step 1, ad-sessions:\n  - ada 20..30 C1@20"),
        (
            replace(RIGHT, changes={1: [*RIGHT.changes[0], *RIGHT.changes[1]]}),
            "step 0, ad-sessions:\n  - ada 0..10 V1@0",
        ),
        (replace(RIGHT, changes={**RIGHT.changes, 2: RIGHT.changes[0]}), "step 2: there is none, but it has output"),
        (replace(RIGHT, changes={**RIGHT.changes, 0: RIGHT.changes[0] * 2}), "    ada 0..10 V1@0\n  + ada 0..10 V1@0"),
        (replace(RIGHT, late={0: [Late(parse_event("eve V1@5"), 4)]}), "+ eve V1@5 at watermark 4"),
        (replace(RIGHT, late={}), "- eve V1@5 at watermark"),
        (replace(RIGHT, dead={}), "- ad-views/0000.jsonl, line 0, b'{': malformed"),
        (replace(RIGHT, dead={0: [RIGHT.dead[0][0]._replace(reason="empty")]}), "line 0, b'{': empty"),
        (replace(RIGHT, dead={0: [RIGHT.dead[0][0]._replace(offset=1)]}), "+ ad-views/0000.jsonl, line 1"),
        (replace(RIGHT, summary=None), "the run left no summary"),
    ],
)
def test_a_difference_is_shown(outcome: Outcome, message: str) -> None:
    with pytest.raises(ConformanceError) as error:
        check(CASE, outcome, Ending.of(CASE))
    assert message in str(error.value)
    assert str(error.value).startswith("some-case: a case for the tests of the kit")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 3}, "3 steps were taken, not 2"),
        ({"watermark": 19}, f"the last watermark is 19, not {END}"),
        ({"metrics": {"records_in": 4, "all": 3}}, "the balance is wrong: 3 records accounted for"),
    ],
)
def test_what_a_run_says_of_itself_counts(wrong: dict[str, object], message: str) -> None:
    assert RIGHT.summary is not None
    with pytest.raises(ConformanceError, match=message):
        check(CASE, replace(RIGHT, summary=replace(RIGHT.summary, **wrong)), Ending.of(CASE))


def test_a_mark_covers_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Mark("slow", "never", "has no clock", "drop")
    play = Mark("slow", "notyet", "can't stop", "drop", "some-case", "stopped")
    monkeypatch.setattr(marks, "MARKS", (group, play))
    assert list(marks_of("slow", CASE, "straight")) == [group]
    assert list(marks_of("slow", CASE, "stopped")) == [group, play]
    assert list(marks_of("local", CASE, "stopped")) == []
    assert list(marks_of("slow", replace(CASE, group="wait"), "stopped")) == []


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["python", "-m", "common.engines.local", "SPEC"], ["python"]),
        (["spark-submit", "--master", "local", "/x/spark/__main__.py", "SPEC"], ["spark-submit", "--master", "local"]),
    ],
)
def test_the_worker_takes_the_place_of_the_engine(command: list[str], line: list[str]) -> None:
    assert worker_line(command, "local")[:-1] == line
    assert worker_line(command, "local")[-1].endswith("worker.py")


def test_a_command_that_the_worker_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end in its main module"):
        worker_line(["engine", "--spec", "SPEC"], "local")


def test_the_report_counts_by_group_and_engine_and_gives_reasons() -> None:
    results = [
        Result("local", "drop", "passed"),
        Result("local", "drop", "passed"),
        Result("slow", "drop", "passed"),
        Result("slow", "drop", "never", "has no clock"),
        Result("slow", "wait", "skipped", "not installed"),
        Result("slow", "wait", "skipped", "not installed"),
    ]
    shown = [" ".join(line.split()) for line in lines(results)]
    assert shown == [
        "group local slow",
        "drop 2 1, 1 never",
        "wait - 2 skipped",
        "slow: 1 never: has no clock",
        "slow: 2 skipped: not installed",
    ]
