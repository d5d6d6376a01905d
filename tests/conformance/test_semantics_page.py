"""`common/SEMANTICS.md` names the cases that prove its first table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.loader import load_cases

PAGE = Path(__file__).parents[2] / "common" / "SEMANTICS.md"
ROWS = [
    line.split("|")[1:-1] for line in PAGE.read_text().partition("## Session")[0].splitlines() if line.startswith("|")
][2:]


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_every_row_of_the_table_of_differences_names_cases_that_there_are(row: list[str]) -> None:
    named = set(re.findall(r"`([a-z-]+)`", row[-1]))
    assert named
    assert named <= {case.id for case in load_cases()}
