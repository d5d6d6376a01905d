from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.streams.materialise import table
from jobs.sessions.report import report

Change = tuple[str, int, int, list[int]]


def write(root: Path, name: str, changes: list[Change]) -> None:
    """A step's file: user, start, end, and the times of the actions; none is a tombstone."""
    lines = []
    for user, start, end, times in changes:
        actions = [{"eventTime": time, "advertisementId": 7, "action": "View"} for time in times]
        key = {"window": {"start": start, "end": end}, "userId": user}
        lines.append(json.dumps({"key": key, "value": {"actions": actions} if times else None}))
    path = root / "ad-sessions" / f"{name}.p0.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))


def test_what_a_correction_took_back_is_not_counted(tmp_path: Path) -> None:
    write(tmp_path, "0", [("ann", 0, 10, [0]), ("ann", 12, 22, [12]), ("bob", 5, 15, [5])])
    write(tmp_path, "1", [("ann", 0, 10, []), ("ann", 12, 22, []), ("ann", 0, 65_022, [0, 6, 65_012])])
    assert report(tmp_path) == {
        "sessions": 2,
        "users": 2,
        "actions": 4,
        "longest session": "1m5s, 3 actions, user ann",
    }


def test_a_session_that_grew_under_its_key_counts_as_it_is_now(tmp_path: Path) -> None:
    write(tmp_path, "0", [("ann", 0, 10, [0])])
    write(tmp_path, "1", [("ann", 0, 10, [0, 0])])
    assert report(tmp_path)["actions"] == 2


def test_an_output_without_sessions_counts_none(tmp_path: Path) -> None:
    assert report(tmp_path) == {"sessions": 0, "users": 0, "actions": 0, "longest session": "none"}


def test_an_output_of_tombstones_only_counts_none(tmp_path: Path) -> None:
    write(tmp_path, "0", [("ann", 0, 10, [])])
    assert report(tmp_path)["sessions"] == 0


CHANGES = st.lists(
    st.builds(
        lambda user, start, times: (user, start, start + 10, sorted(times)),
        st.sampled_from(["ann", "bob", "zoë"]),
        st.integers(0, 3),
        st.lists(st.integers(0, 10_000), max_size=3),
    ),
    max_size=6,
)


@given(st.lists(CHANGES, max_size=4))
def test_it_counts_what_the_stream_leaves(tmp_path_factory: pytest.TempPathFactory, steps: list[list[Change]]) -> None:
    root = tmp_path_factory.mktemp("out")
    for number, changes in enumerate(steps):
        write(root, str(number), changes)
    left = table(root, "ad-sessions", load("ad-sessions")).to_pylist()
    counted = report(root)
    assert counted["sessions"] == len(left)
    assert counted["users"] == len({record["key"]["userId"] for record in left})
    assert counted["actions"] == sum(len(record["value"]["actions"]) for record in left)
