"""Conversions against the rule, action by action."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engagements.conversions import Attribution, conversions

Session = list[tuple[str, int]]
"""(V or C, advertisement), in the session's order."""

sessions = st.lists(st.lists(st.tuples(st.sampled_from("VC"), st.integers(1, 3)), max_size=10), max_size=5)


def counted(played: list[Session], attribution: Attribution) -> list[Counter[int]]:
    """The conversions of each session, by advertisement."""
    lengths = np.array([len(session) for session in played], dtype=np.int64)
    flat = [action for session in played for action in session]
    ads = np.array([ad for _, ad in flat], dtype=np.int64)
    clicks = np.array([action == "C" for action, _ in flat], dtype=np.bool_)
    found = conversions(lengths, ads, clicks, attribution)
    assert [*zip(found.session.tolist(), found.advertisement.tolist(), strict=True)] == sorted(
        {*zip(found.session.tolist(), found.advertisement.tolist(), strict=True)}
    )
    counts = [Counter[int]() for _ in played]
    for session, ad, count in zip(found.session, found.advertisement, found.count, strict=True):
        counts[session][int(ad)] = int(count)
    return counts


def oracle(session: Session, attribution: Attribution) -> Counter[int]:
    """SEMANTICS.md, "Engagements", by the word."""
    counts = Counter[int]()
    unpaired = Counter[int]()
    for place, (action, ad) in enumerate(session):
        if attribution == "every_view":
            counts[ad] += action == "V" and ("C", ad) in session[place + 1 :]
        elif action == "V":
            unpaired[ad] += 1
        elif unpaired[ad]:
            unpaired[ad] -= 1
            counts[ad] += 1
    return +counts


@given(sessions, st.sampled_from(get_args(Attribution)))
def test_every_session_equals_the_oracle(played: list[Session], attribution: Attribution) -> None:
    assert counted(played, attribution) == [oracle(session, attribution) for session in played]


@pytest.mark.parametrize(
    ("actions", "every_view", "one_to_one"),
    [
        ("VVC", 2, 1),
        ("VCC", 1, 1),
        ("VCVC", 2, 2),
        ("CV", 0, 0),
        ("CVC", 1, 1),
        ("VVCC", 2, 2),
        ("VCV", 1, 1),
        ("CCVVVC", 3, 1),
        ("V", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_rule_by_hand(actions: str, every_view: int, one_to_one: int) -> None:
    session = [(action, 7) for action in actions]
    assert counted([session], "every_view")[0][7] == every_view
    assert counted([session], "one_to_one")[0][7] == one_to_one


def test_the_largest_numbers_are_advertisements_too() -> None:
    ads = [-(2**63), 2**63 - 1]
    session = [(action, ad) for ad in ads for action in "VC"]
    assert counted([session], "every_view") == [Counter(dict.fromkeys(ads, 1))]
