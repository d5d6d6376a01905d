"""The batch functions of the job, at the bounds of their contracts."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.operators.sessions import SESSIONS
from jobs.engagements.events import ENGAGEMENTS, TOTALS, AsContributions, advertisements_as_right, totals_as_left
from jobs.engagements.records import engagement_records
from jobs.sessions.records import session_records

Actions = "list[tuple[int, int, str]] | None"


def session(user: str, start: int, end: int, actions: Any) -> dict[str, Any]:
    """A record of `ad-sessions`; no actions are a tombstone."""
    value = actions and {
        "actions": [{"eventTime": time, "advertisementId": ad, "action": name} for time, ad, name in actions]
    }
    return {"key": {"window": {"start": start, "end": end}, "userId": user}, "value": value}


def records(*sessions: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(sessions), schema=load("ad-sessions").arrow)


CONVERTED = [(0, 1, "View"), (1, 2, "View"), (2, 1, "View"), (3, 1, "Click"), (4, 2, "View")]


def test_a_session_becomes_its_conversions() -> None:
    events = AsContributions("every_view")(records(session("ann", 0, 14, CONVERTED), session("ann", 0, 9, None)))
    assert events.to_pylist() == [
        {"session": "ann 0 14", "contributions": [{"advertisementId": 1, "amount": 2}]},
        {"session": "ann 0 9", "contributions": None},
    ]


def test_a_session_without_conversions_contributes_nothing() -> None:
    events = AsContributions("every_view")(records(session("ann", 0, 10, [(0, 1, "View")])))
    assert events["contributions"].to_pylist() == [[]]


@pytest.mark.parametrize("rows", [0, 2])
def test_records_in_slices_and_chunks_are_read_whole(rows: int) -> None:
    three = records(*(session(user, 0, 14, CONVERTED) for user in ("ann", "bob", "eve")))
    events = AsContributions("one_to_one")(pa.concat_tables([three.slice(1, rows), three.slice(2, 1)]))
    assert events["session"].to_pylist() == ["bob 0 14", "eve 0 14", "eve 0 14"][2 - rows :]
    assert all(made == [{"advertisementId": 1, "amount": 1}] for made in events["contributions"].to_pylist())


def test_users_with_spaces_and_numbers_have_sessions_of_their_own() -> None:
    keys = [("ann", 1, 23), ("ann 1", 2, 3), ("ann", 12, 3), ("ann 1 2", 3, 3)]
    events = AsContributions("every_view")(records(*(session(*key, None) for key in keys)))
    assert len(set(events["session"].to_pylist())) == len(keys)


def test_sessions_of_the_same_job_are_counted_as_those_of_the_stream() -> None:
    actions = [{"eventTime": 0, "advertisementId": 1, "action": 0}, {"eventTime": 3, "advertisementId": 1, "action": 1}]
    rows = pa.Table.from_pylist(
        [
            {"userId": "ann", "start": 0, "end": 13, "actions": actions},
            {"userId": "bob", "start": 5, "end": 6, "actions": None},
        ],
        schema=SESSIONS,
    )
    from_stream = records(session("ann", 0, 13, [(0, 1, "View"), (3, 1, "Click")]), session("bob", 5, 6, None))
    function = AsContributions("every_view")
    assert function(session_records(rows)).equals(function(from_stream))


def test_a_total_that_is_gone_is_a_tombstone_of_its_side() -> None:
    totals = pa.Table.from_pylist(
        [{"advertisementId": 1, "total": 5}, {"advertisementId": 2, "total": None}], schema=TOTALS.outputs["totals"]
    )
    events = totals_as_left(totals)
    assert events["left"].to_pylist() == [{"sum": 5}, None]
    assert events["right"].null_count == 2


def test_advertisements_are_the_other_side() -> None:
    entities = pa.Table.from_pylist(
        [{"key": 1, "value": {"name": "Josh's Gerbils", "type": "Pets"}}, {"key": 2, "value": None}],
        schema=load("advertisements").arrow,
    )
    events = advertisements_as_right(entities)
    assert events["advertisementId"].to_pylist() == [1, 2]
    assert events["right"].to_pylist() == [{"name": "Josh's Gerbils", "type": "Pets"}, None]


def test_joined_rows_become_records() -> None:
    name = {"name": "Josh's Gerbils", "type": "Pets"}
    joined = pa.Table.from_pylist(
        [
            {"advertisementId": 1, "left": {"sum": 5}, "right": name},
            {"advertisementId": 2, "left": {"sum": 6}, "right": None},
            {"advertisementId": 3, "left": None, "right": name},
            {"advertisementId": 4, "left": None, "right": None},
        ],
        schema=ENGAGEMENTS.outputs["joined"],
    )
    assert engagement_records(joined.slice(1)).to_pylist() == [
        {"key": 2, "value": {"sum": 6, "name": None, "type": None}},
        {"key": 3, "value": {"sum": None, **name}},
        {"key": 4, "value": None},
    ]
