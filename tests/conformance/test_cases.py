"""The cases themselves: their data agree with the oracle, and each is well formed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.case import CLOCK, GROUPS, STREAMS, Case, Step
from tests.conformance.expected import expect
from tests.conformance.loader import load_cases
from tests.conformance.notation import parse_change, parse_event, show_change, show_event
from tests.conformance.plays import PLAYS

CASES = load_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_agrees_with_the_oracle(case: Case) -> None:
    by_oracle = expect(case)
    for number, (step, right) in enumerate(zip(case.steps, by_oracle.steps, strict=True)):
        assert step.watermark == right.watermark, f"step {number}"
        assert _texts(step) == _texts(right), f"step {number}"
    if case.end is not None:
        assert by_oracle.end is not None
        assert sorted(map(show_change, case.end)) == sorted(map(show_change, by_oracle.end))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_is_well_formed(case: Case) -> None:
    assert case.plays
    assert set(case.plays) <= PLAYS.keys()
    assert case.bounded or "bounded" not in case.plays, "a case with late events can't be read at once"
    for step in case.steps:
        assert all(event.user != CLOCK for event in step.events)
        assert step.raw.keys() <= set(STREAMS)
        lines = sum(bool(line) for raw in step.raw.values() for line in raw)
        assert len(step.dead) == lines, "each raw line that is not blank is a dead letter"


def test_there_are_cases_of_every_group() -> None:
    counts = Counter(case.group for case in CASES)
    assert set(counts) == set(GROUPS)


def test_the_notation_reads_back() -> None:
    for text in ("ada V1@0", "日本 C-5@-7"):
        assert show_event(parse_event(text)) == text
    for text in ("ada 0..20 V1@0 C1@10", "ada -5..10 null"):
        assert show_change(parse_change(text)) == text


@pytest.mark.parametrize("text", ["ada", "ada X1@0", "ada V1", "ada 0-10 V1@0", "ada 0..10", "ada 0..10 V1@0 null"])
def test_the_notation_refuses_what_it_is_not(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        parse_change(text) if ".." in text or "-" in text else parse_event(text)


def _texts(step: Step) -> tuple[Counter[str], Counter[str]]:
    return Counter(map(show_change, step.out)), Counter(map(show_event, step.late))
