"""`common/SEMANTICS.md` names the cases that prove its first table, and its table of engagements comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.engines.local.translate import run
from common.operators.step import BEGINNING
from tests.conformance.answers import Exercise, answer
from tests.conformance.case import Case, Step
from tests.conformance.jobs.engagements import ENGAGEMENTS, Described, Engaged
from tests.conformance.loader import load_cases
from tests.conformance.notation import Change
from tests.conformance.plays import PLAYS
from tests.conformance.runners import InProcess


def session(ad: int, conversions: int, user: str) -> Change:
    """A session with so many conversions: as many views, and a click that follows them."""
    views = tuple((time, 0, ad) for time in range(conversions))
    return Change(f"{user} of {ad}", 0, conversions + 10, (*views, (conversions, 1, ad)))


def parse_engaged(key: str, value: str) -> Engaged:
    """Reads a row of the page: `1` and `sum=402, name="Josh's Gerbils", type="Pets"`."""
    named = dict(re.findall(r"(\w+)=(\"[^\"]*\"|\w+)", value))
    total, name, type_ = (None if named[each] == "null" else named[each].strip('"') for each in ("sum", "name", "type"))
    return Engaged(int(key), None if total is None else int(total), name, type_)


PAGE = Path(__file__).parents[2] / "common" / "SEMANTICS.md"
ROWS = [
    line.split("|")[1:-1] for line in PAGE.read_text().partition("## Session")[0].splitlines() if line.startswith("|")
][2:]


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_every_row_of_the_table_of_differences_names_cases_that_there_are(row: list[str]) -> None:
    named = set(re.findall(r"`([a-z-]+)`", row[-1]))
    assert named
    assert named <= {case.id for case in load_cases()}


ENGAGEMENTS_PART = PAGE.read_text().partition("## Engagements")[2].partition("## ")[0]
ENGAGED = [
    parse_engaged(*map(str.strip, line.split("|")[1:-1]))
    for line in ENGAGEMENTS_PART.splitlines()
    if re.match(r"\| *\d", line)
]


@pytest.mark.parametrize("play", ["straight", "stopped", "rescaled"])
def test_the_table_of_engagements_comes_out(play: str, tmp_path: Path) -> None:
    """Its five advertisements, then 15 conversions more of 1, the deletion of 4 and that of 1."""
    assert "An event (advertisementId 1, 15) then makes its sum 417." in ENGAGEMENTS_PART
    assert len(ENGAGED) == 5
    described = [Described(each.ad, each.name, each.type) for each in ENGAGED if each.name]
    sessions = [session(each.ad, each.sum, "ada") for each in ENGAGED if each.sum]
    first = next(each for each in ENGAGED if each.ad == 1)
    steps = (
        Step((*described, *sessions), BEGINNING, out=tuple(ENGAGED)),
        Step((session(1, 15, "eve"),), BEGINNING, out=(first._replace(sum=417),)),
        Step((Described(4, None, None),), BEGINNING, out=(Engaged(4, None, None, None),)),
        Step((Described(1, None, None),), BEGINNING, out=(Engaged(1, 417, None, None),)),
    )
    case = Case("the-table", ENGAGEMENTS, "enriched", "the table of SEMANTICS.md", {}, steps, end=())
    exercise = Exercise(case, PLAYS[play])
    exercise.check(answer(InProcess("local", run), exercise, tmp_path))
