"""A schedule is what its seed says, and the decks are dealt to the end."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.recovery.schedule import RESCALES, Schedule

FAULTS = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=9, unique=True)


@given(st.integers(0, 1000), FAULTS, st.integers(20, 400), st.integers(1, 6))
def test_a_seed_gives_one_schedule(seed: int, faults: list[str], steps: int, strikes: int) -> None:
    drawn = Schedule.draw(seed, faults, steps, strikes)
    assert drawn == Schedule.draw(seed, faults, steps, strikes)
    assert len(drawn.strikes) == strikes
    assert all(0 < strike.step <= steps and strike.fault in faults for strike in drawn.strikes)
    assert [strike.step for strike in drawn.strikes] == sorted(strike.step for strike in drawn.strikes)
    for before, after in pairwise([drawn.parallelism, *(strike.parallelism for strike in drawn.strikes)]):
        assert after in RESCALES[before]


@given(FAULTS, st.integers(1, 4), st.integers(1, 30))
def test_every_fault_comes_before_one_comes_twice(faults: list[str], strikes: int, seeds: int) -> None:
    dealt = Counter(
        strike.fault for seed in range(seeds) for strike in Schedule.draw(seed, faults, 100, strikes).strikes
    )
    least = seeds * strikes // len(faults)
    assert all(least <= dealt[fault] <= least + 1 for fault in faults)
