from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from common.runtime.frames import Frame, Kind, latest_by_partition, pack, unpack


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1))))
def test_a_table_comes_back_as_it_was_packed(rows: list[tuple[str, int]]) -> None:
    table = pa.table(
        {"a": pa.array([a for a, _ in rows], pa.string()), "b": pa.array([b for _, b in rows], pa.int64())}
    )
    assert unpack(pack(table)).equals(table)


def test_the_time_of_a_step_is_what_its_time_frames_say() -> None:
    frames = [
        Frame(0, Kind.TIME, "views", 5),
        Frame(0, Kind.TIME, "views", 9),
        Frame(0, Kind.TIME, "clicks", 7),
        Frame(0, Kind.EVENTS, "views", 100, b"not looked at"),
    ]
    assert latest_by_partition(frames) == {"views": 9, "clicks": 7}
