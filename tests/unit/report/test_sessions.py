"""What the records of sessions say, against a count by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.report.sessions import LAST_PLACE, Sessions, clicked_views, sessions

SCHEMA = load("ad-sessions").arrow
GAP = 10

Action = tuple[int, int, str]
"""Time, advertisement, action."""
Record = tuple[str, int, list[Action] | None]
"""User, start, the actions; None for a tombstone."""

ACTIONS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from(["View", "Click"])), min_size=1, max_size=30
)
RECORDS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.none() | ACTIONS), max_size=12)


def table(records: list[Record]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "key": {"window": {"start": start, "end": start + GAP}, "userId": user},
            "value": None
            if actions is None
            else {"actions": [{"eventTime": t, "advertisementId": ad, "action": a} for t, ad, a in sorted(actions)]},
        }
        for user, start, actions in records
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def standing(records: list[Record]) -> list[list[Action]]:
    latest: dict[tuple[str, int], list[Action] | None] = {}
    for user, start, actions in records:
        latest[user, start] = actions
    return [sorted(actions) for actions in latest.values() if actions]


def clicked(actions: list[Action]) -> list[int]:
    """The places of the views that a click followed before the next view of the same advertisement."""
    newest: dict[int, int] = {}
    found = set()
    for place, (_, advertisement, action) in enumerate(actions):
        if action == "View":
            newest[advertisement] = place
        elif advertisement in newest:
            found.add(newest[advertisement])
    return sorted(found)


@given(RECORDS, st.integers(0, 12))
def test_it_counts_what_stands(records: list[Record], cut: int) -> None:
    found = sessions([table(records[:cut]), table(records[cut:])])
    stand = standing(records)
    assert sorted(found.actions.tolist()) == sorted(map(len, stand))
    assert sorted(found.span.tolist()) == sorted(actions[-1][0] - actions[0][0] for actions in stand)
    assert found.users == len({user for user, start in _keys(records)})
    assert sorted(found.taken_back.tolist()) == sorted(start for _, start, actions in records if actions is None)
    assert found.views == sum(action == "View" for actions in stand for _, _, action in actions)


@given(RECORDS)
def test_it_counts_clicked_views_by_advertisement_and_place(records: list[Record]) -> None:
    views, clicks, converted = Counter[int](), Counter[int](), Counter[int]()
    places, by_place = Counter[int](), Counter[int]()
    for actions in standing(records):
        was_clicked, place = clicked(actions), 0
        for number, (_, advertisement, action) in enumerate(actions):
            if action == "Click":
                clicks[advertisement] += 1
                continue
            place += 1
            views[advertisement] += 1
            converted[advertisement] += number in was_clicked
            places[min(place, LAST_PLACE)] += 1
            by_place[min(place, LAST_PLACE)] += number in was_clicked
    found = sessions([table(records)])
    assert {
        row["advertisement"]: (row["views"], row["clicks"], row["clicked"]) for row in found.advertisements.to_pylist()
    } == {ad: (views[ad], clicks[ad], converted[ad]) for ad in views | clicks}
    assert found.advertisements["views"].to_pylist() == sorted(views[ad] for ad in views | clicks)[::-1]
    assert {row["place"]: (row["views"], row["clicked"]) for row in found.places.to_pylist()} == {
        place: (places[place], by_place[place]) for place in places
    }


def test_a_view_of_another_session_is_not_clicked() -> None:
    one = np.array([1, 1])
    assert clicked_views(np.array([0, 1]), one, np.array([False, True])).tolist() == [False, False]
    assert clicked_views(np.array([0, 0]), one, np.array([False, True])).tolist() == [True, False]


def test_without_records_there_is_nothing() -> None:
    found: Sessions = sessions([])
    assert (len(found.start), found.users, found.views, found.clicked, found.places.num_rows) == (0, 0, 0, 0, 0)


def _keys(records: list[Record]) -> list[tuple[str, int]]:
    latest = {(user, start): actions for user, start, actions in records}
    return [key for key, actions in latest.items() if actions]
