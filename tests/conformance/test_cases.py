"""The cases themselves: their data agree with the oracle, and each is well formed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.case import Case, Step
from tests.conformance.job import Job
from tests.conformance.jobs.every import JOBS
from tests.conformance.loader import load_cases
from tests.conformance.plays import PLAYS

CASES = load_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_agrees_with_the_oracle(case: Case) -> None:
    by_oracle = case.job.expect(case)
    for number, (step, right) in enumerate(zip(case.steps, by_oracle.steps, strict=True)):
        assert step.watermark == right.watermark, f"step {number}"
        assert _texts(case.job, step) == _texts(case.job, right), f"step {number}"
    if case.end is not None:
        assert by_oracle.end is not None
        assert sorted(map(case.job.show_change, case.end)) == sorted(map(case.job.show_change, by_oracle.end))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_is_well_formed(case: Case) -> None:
    assert case.plays
    assert set(case.plays) <= PLAYS.keys()
    assert case.bounded or "bounded" not in case.plays, "a case with late events can't be read at once"
    for step in case.steps:
        assert not set(step.events) & set(case.job.ticks(step.tick or 0)), "ticks are not written as events"
        assert step.raw.keys() <= set(case.job.sources)
        lines = sum(bool(line) for raw in step.raw.values() for line in raw)
        assert len(step.dead) == lines, "each raw line that is not blank is a dead letter"


def test_there_are_cases_of_every_group() -> None:
    counts = Counter(case.group for case in CASES)
    assert set(counts) == {group for job in JOBS for group in job.groups}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_notation_reads_back(case: Case) -> None:
    job = case.job
    for step in case.steps:
        assert [job.parse_event(job.show_event(event)) for event in case.arrivals(step)] == [*case.arrivals(step)]
        assert [job.parse_change(job.show_change(change)) for change in step.out] == [*step.out]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
@pytest.mark.parametrize(
    "text", ["ada", "ada X1@0", "ada V1", "ada 0-10 V1@0", "ada 0..10", "ada 0..10 V1@0 null", "ad1", "ad1 x", "ad1 5"]
)
def test_the_notation_refuses_what_it_is_not(job: Job, text: str) -> None:
    for parse in (job.parse_event, job.parse_change):
        with pytest.raises(ValueError, match="write it as"):
            parse(text)


def _texts(job: Job, step: Step) -> tuple[Counter[str], Counter[str]]:
    return Counter(map(job.show_change, step.out)), Counter(map(job.show_event, step.late))
