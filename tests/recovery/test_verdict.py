"""The verdict sees what was done to a right answer."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.recovery.verdict import Verdict

RECORDS = st.lists(st.sampled_from("abcde"), max_size=12)


@given(RECORDS, RECORDS, RECORDS, st.integers(0, 3))
def test_what_is_taken_away_doubled_and_added_is_told(
    right: list[str], taken: list[str], doubled: list[str], strange: int
) -> None:
    wanted = Counter(right)
    lost = Counter(taken) & wanted
    twice = Counter(record for record in doubled if record in wanted and record not in lost)
    found = (wanted - lost) + twice + Counter({"strange": strange})
    verdict = Verdict.of(wanted, found)
    assert Counter(verdict.lost) == lost
    assert Counter(verdict.doubled) == twice
    assert len(verdict.strange) == strange
    assert verdict.right == (wanted == found)
