"""Packing changes nothing: a pack is itself a case that the oracle agrees with, and it comes apart again."""

from __future__ import annotations

import pytest

from common.engines.local.translate import run
from common.operators.step import END
from tests.conformance.answers import Exercise, answer
from tests.conformance.kit import ConformanceError, Ending, check
from tests.conformance.loader import load_cases
from tests.conformance.notation import parse_change
from tests.conformance.outcome import Outcome
from tests.conformance.packs import Pack, packed
from tests.conformance.plays import PLAYS
from tests.conformance.runners import InProcess

CASES = load_cases()
PACKS = packed(CASES)


def test_every_case_is_in_one_pack_and_few_packs_are_needed() -> None:
    assert sorted(case.id for pack in PACKS for case in pack.cases) == sorted(case.id for case in CASES)
    assert len(PACKS) < len(CASES) / 2


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_a_pack_agrees_with_the_oracle(pack: Pack) -> None:
    whole = pack.whole()
    by_oracle = whole.job.expect(whole)
    for number, (step, right) in enumerate(zip(whole.steps, by_oracle.steps, strict=True)):
        assert step.watermark == right.watermark, f"step {number}"
        assert sorted(map(whole.job.show_change, step.out)) == sorted(map(whole.job.show_change, right.out)), (
            f"step {number}"
        )
        assert sorted(map(whole.job.show_event, step.late)) == sorted(map(whole.job.show_event, right.late)), (
            f"step {number}"
        )


@pytest.fixture(scope="module")
def pack() -> Pack:
    """Two cases, of which the second has late events and a redelivery."""
    wanted = ("drop-late", "redelivery-of-a-late-event")
    return Pack(tuple(case for case in CASES if case.id in wanted))


@pytest.fixture(scope="module")
def played(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    exercise = Exercise(pack.whole(), PLAYS["straight"])
    return answer(InProcess("local", run), exercise, tmp_path_factory.mktemp("pack"))


@pytest.mark.parametrize("place", [0, 1])
def test_a_pack_comes_apart(place: int, pack: Pack, played: Outcome) -> None:
    check(pack.cases[place], pack.streamed(place, played), Ending.of(pack.whole()))


def test_a_difference_is_told_of_its_case_only(pack: Pack, played: Outcome) -> None:
    first_step_of_second = len(pack.cases[0].steps) + 1
    wrong = {**played.changes, first_step_of_second: []}
    outcome = Outcome(wrong, played.late, played.dead, played.summary, played.failure)
    check(pack.cases[0], pack.streamed(0, outcome), Ending.of(pack.whole()))
    with pytest.raises(ConformanceError, match=r"- ada 0\.\.10 V1@0"):
        check(pack.cases[1], pack.streamed(1, outcome), Ending.of(pack.whole()))


def test_what_is_beyond_the_last_step_is_told(pack: Pack, played: Outcome) -> None:
    beyond = len(pack.whole().steps) + 1
    outcome = Outcome(
        {**played.changes, beyond: [parse_change("ada 0..10 null")]}, played.late, played.dead, played.summary, None
    )
    with pytest.raises(ConformanceError, match="there is none, but it has output"):
        check(pack.cases[1], pack.streamed(1, outcome), Ending.of(pack.whole()))


def test_a_run_of_the_wrong_length_fails_every_case(pack: Pack, played: Outcome) -> None:
    for place, case in enumerate(pack.cases):
        with pytest.raises(ConformanceError, match="steps were taken"):
            check(case, pack.streamed(place, played), Ending(99, END))


def test_a_case_without_an_end_or_without_events_has_a_run_for_itself() -> None:
    alone = {pack.cases[0].id for pack in PACKS if len(pack.cases) == 1}
    assert {case.id for case in CASES if case.end is None} <= alone
    assert "grouping-empty-input" in alone
