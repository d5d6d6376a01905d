"""Steps that are written down before they are taken."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.errors import AdstreamError
from common.streams.folder import Arrivals, Position, Split
from common.streams.source import Planned, open_source, open_unplanned


@dataclass
class Growing:
    """A partition with more records each time it is asked."""

    ends: list[int] = field(default_factory=list)
    partitions: tuple[str, ...] = ("views/0",)

    def next_step(self, position: Position) -> Arrivals | None:
        start = position.counts.get("views/0", 0)
        end = self.ends.pop(0)
        if end <= start:
            return None
        return Arrivals((Split("views", "kafka://broker/views/0", start, end, 0),), Position({"views/0": end}))

    def everything(self, split_bytes: int) -> tuple[Split, ...]:
        return ()

    def planned(self, position: Position) -> bool:
        return False

    def settled(self, position: Position) -> None: ...


def test_a_step_that_is_taken_again_is_the_same(tmp_path: Path) -> None:
    source = Planned(Growing([5, 9]), str(tmp_path))
    first = source.next_step(Position())
    assert first is not None
    assert first.position.counts == {"views/0": 5}
    assert source.next_step(Position()) == first
    following = source.next_step(first.position)
    assert following is not None
    assert (following.splits[0].start, following.splits[0].stop) == (5, 9)


def test_when_a_step_arrived_is_written_down_with_it(tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    first = Planned(Growing([5]), str(tmp_path)).next_step(Position())
    assert first is not None
    assert before <= first.arrived <= time.time_ns() // 1_000_000
    time.sleep(0.01)
    again = Planned(Growing([]), str(tmp_path)).next_step(Position())
    assert again == first


@pytest.mark.parametrize("torn", ["", "{", '{"splits": []}'])
def test_a_torn_plan_is_refused_and_not_made_anew(tmp_path: Path, torn: str) -> None:
    source = Planned(Growing([5, 9]), str(tmp_path))
    source.next_step(Position())
    (plan,) = (tmp_path / "plans").iterdir()
    plan.write_text(torn)
    for ask in (source.next_step, source.planned, source.settled):
        with pytest.raises(AdstreamError, match=r"/plans/\w+\.json': the plan of a step is torn: restore it, or "):
            ask(Position())


def test_nothing_new_is_not_written_down(tmp_path: Path) -> None:
    source = Planned(Growing([0, 3]), str(tmp_path))
    assert source.next_step(Position()) is None
    assert source.next_step(Position()) is not None


def test_settled_steps_are_forgotten(tmp_path: Path) -> None:
    source = Planned(Growing([5, 9]), str(tmp_path))
    first = source.next_step(Position())
    assert first is not None
    source.next_step(first.position)
    source.settled(first.position)
    assert not source.planned(Position())
    assert source.planned(first.position)


def test_in_a_folder_a_step_stays_what_it_was_when_a_stream_gets_a_file(tmp_path: Path) -> None:
    for path in ("a/0.jsonl", "a/1.jsonl", "b/0.jsonl"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    source = open_source(str(tmp_path), ("a", "b"), str(tmp_path / "kept"), tmp_path / "schemas")
    first = source.next_step(Position())
    unplanned = open_unplanned(str(tmp_path), ("a", "b"), tmp_path / "schemas").next_step(Position())
    assert first is not None and first == unplanned
    second = source.next_step(first.position)
    assert second is not None and [split.stream for split in second.splits] == ["a"]
    (tmp_path / "b" / "1.jsonl").write_text("")
    assert source.next_step(first.position) == second
    following = source.next_step(second.position)
    assert following is not None and [split.stream for split in following.splits] == ["b"]
