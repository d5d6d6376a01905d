from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.config.job import parse_duration
from common.report.bins import (
    DURATIONS,
    MOST_EVEN,
    MOST_PERIODS,
    PERIODS,
    by_duration,
    by_period,
    duration_names,
    evenly,
    period_of,
    quantile,
)

TIMES = st.lists(st.integers(0, 4_000_000_000_000), min_size=1, max_size=30)
DELAYS = st.lists(st.integers(0, 10**11), min_size=1, max_size=50)


def array(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@given(TIMES, st.sampled_from(PERIODS[3:]))
def test_each_moment_is_in_its_period(moments: list[int], period: int) -> None:
    moments = [moment % (1_000 * period) for moment in moments]
    starts, counts = by_period(array(moments), period)
    assert dict(zip(starts.tolist(), counts.tolist(), strict=True)) == {
        start: sum(start <= moment < start + period for moment in moments)
        for start in range(min(moments) // period * period, max(moments) + 1, period)
    }


@given(TIMES)
def test_a_chart_has_few_periods_unless_time_is_very_long(moments: list[int]) -> None:
    period = period_of(array(moments))
    if period < PERIODS[-1]:
        assert len(by_period(array(moments), period)[0]) <= MOST_PERIODS + 1


def test_without_moments_there_are_no_periods() -> None:
    assert [len(column) for column in by_period(array([]), period_of(array([])))] == [0, 0]


@given(DELAYS)
def test_each_duration_is_in_its_bin(durations: list[int]) -> None:
    bins = by_duration(array(durations))
    assert sum(count for _, count in bins) == len(durations)
    assert bins[0][1] > 0 < bins[-1][1]
    starts = dict(zip(duration_names(), (0, *DURATIONS), strict=True))
    ends = dict(zip(duration_names(), (*DURATIONS, 10**12), strict=True))
    for name, count in bins:
        assert count == sum(starts[name] <= duration < ends[name] for duration in durations)


def test_no_duration_is_in_no_bin() -> None:
    assert by_duration(array([])) == []


@given(DELAYS)
def test_even_bins_hold_each_duration_once(durations: list[int]) -> None:
    bins = evenly(array(durations))
    assert 1 <= len(bins) <= MOST_EVEN
    assert sum(count for _, count in bins) == len(durations)
    for name, count in bins[:-1]:
        start, end = (parse_duration(text) for text in name.split(" to "))
        assert count == sum(start <= duration < end for duration in durations)


@given(DELAYS, st.floats(0.01, 1))
def test_a_quantile_is_exceeded_by_no_more_than_the_rest(durations: list[int], share: float) -> None:
    found = quantile(array(durations), share)
    assert found in durations
    assert sum(duration <= found for duration in durations) >= share * len(durations) - 1e-9
    assert sum(duration < found for duration in durations) < share * len(durations) + 1e-9
