from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from common.kubernetes.numbers import (
    Beside,
    Bounds,
    Numbers,
    behind,
    burst,
    goal_of,
    short_of,
    worse,
    worse_by_share,
)
from common.operators.step import BEGINNING
from common.runtime.exporter import families
from common.runtime.metrics import Metrics

COUNTS = st.integers(0, 10**6)
BEFORE = Numbers(steps=10, records=1000, dead=3, watermark=100.0, lag=20.0)


@given(steps=COUNTS, records=COUNTS, dead=COUNTS, watermark=st.just(BEGINNING) | st.integers(0, 2**41))
def test_what_a_job_serves_is_read_back(steps: int, records: int, dead: int, watermark: int) -> None:
    now = 2**41

    class Served(Collector):
        def collect(self) -> list[Metric]:
            counters = {"records_in": records, "dead_letters": dead, "late": 5}
            metrics = Metrics(steps=steps, watermark=watermark, counters=counters)
            return list(families(metrics, ("sessions", "flink"), now))

    registry = CollectorRegistry()
    registry.register(Served())
    found = Numbers.of(generate_latest(registry).decode())
    assert (found.steps, found.records, found.dead) == (steps, records, dead)
    if watermark == BEGINNING:
        assert math.isnan(found.watermark)
        assert math.isnan(found.lag)
    else:
        assert found.lag == pytest.approx((now - watermark) / 1000)


def test_before_the_first_step_there_is_nothing() -> None:
    assert Numbers.of("").steps == 0


@pytest.mark.parametrize(
    ("records", "dead", "wrong"),
    [(0, 0, False), (5, 5, False), (2000, 20, False), (2000, 21, True), (12, 12, True)],
)
def test_a_burst_is_a_share_of_what_came_since(records: int, dead: int, wrong: bool) -> None:
    after = replace(BEFORE, records=BEFORE.records + records, dead=BEFORE.dead + dead)
    assert bool(burst(BEFORE, after, Bounds())) is wrong


def lagging(*lags: float) -> list[Numbers]:
    return [replace(BEFORE, steps=11 + number, lag=lag) for number, lag in enumerate(lags)]


def test_a_job_is_well_that_is_as_near_as_before_or_comes_nearer() -> None:
    assert not behind(BEFORE, lagging(5000.0, 79.0), Bounds())
    assert not behind(BEFORE, lagging(5000.0, 4000.0), Bounds())
    assert behind(BEFORE, lagging(5000.0, 5000.0), Bounds())
    assert "81 s behind" in behind(BEFORE, lagging(81.0, 81.0), Bounds())


def test_a_job_without_arrivals_is_well_and_one_that_is_silent_is_not() -> None:
    assert not behind(BEFORE, [replace(BEFORE, lag=500.0)], Bounds())
    assert behind(BEFORE, [], Bounds()) == "it has told no numbers"


def test_a_job_that_has_read_all_there_is_of_last_year_is_well() -> None:
    old = Numbers(steps=8, records=8000, watermark=100.0, lag=3e7)
    assert not behind(Numbers(), [old, replace(old, lag=3e7 + 20)], Bounds())
    assert behind(Numbers(), [old, replace(old, steps=9, lag=3e7 + 20)], Bounds())


def test_a_watermark_that_was_known_must_stay_known() -> None:
    assert not behind(Numbers(), [Numbers(steps=1), Numbers(steps=2)], Bounds())
    assert behind(BEFORE, [Numbers(steps=11), Numbers(steps=12)], Bounds()) == "its watermark is no longer known"


RUNNING = Numbers(steps=10, records=1000, dead=50, watermark=500.0, lag=20.0)


def beside(at: float, running: Numbers, release: Numbers, delay: float = 0.0) -> Beside:
    return Beside(at, running, goal_of(running, delay), release)


@pytest.mark.parametrize(
    ("release", "lacking"),
    [
        (Numbers(), "it has taken 0 of 1,000 records"),
        (replace(RUNNING, records=999), "it has taken 999 of 1,000 records"),
        (replace(RUNNING, watermark=470.0), "its watermark is 30 s behind the running one's"),
        (replace(RUNNING, watermark=math.nan), "its watermark is not known yet"),
        (replace(RUNNING, steps=2), ""),
        (replace(RUNNING, records=1200, watermark=600.0), ""),
    ],
)
def test_a_release_has_caught_up_with_as_many_records_and_as_late_a_watermark(release: Numbers, lacking: str) -> None:
    assert short_of([beside(0, RUNNING, release)], Bounds()) == lacking


def test_a_release_without_numbers_has_not_caught_up() -> None:
    assert "no numbers" in short_of([], Bounds())


def test_a_release_that_waits_longer_for_stragglers_has_a_watermark_as_much_earlier() -> None:
    later = replace(RUNNING, watermark=RUNNING.watermark - 60)
    assert short_of([beside(0, RUNNING, later)], Bounds())
    assert not short_of([beside(0, RUNNING, later, delay=60)], Bounds())
    assert short_of([beside(0, RUNNING, replace(later, watermark=439.0), delay=60)], Bounds())


def test_a_job_that_has_no_watermark_yet_has_none_to_reach() -> None:
    young = Numbers(steps=1, records=5)
    assert not short_of([beside(0, young, young)], Bounds())


def test_it_is_enough_to_be_where_the_running_one_was_a_moment_ago() -> None:
    def moved(by: int) -> Numbers:
        return replace(RUNNING, records=RUNNING.records + by, watermark=RUNNING.watermark + by)

    close = [beside(at, moved(at), moved(at - 20)) for at in range(0, 200, 5)]
    assert not short_of(close, Bounds())
    far = [beside(at, moved(at), moved(at - 61)) for at in range(0, 200, 5)]
    assert short_of(far, Bounds()) == "it has taken 1,134 of 1,195 records"
    assert short_of(close[:1], Bounds()), "what it lacks at first is not known to be a moment's"


@pytest.mark.parametrize(("dead", "wrong"), [(0, False), (50, False), (60, False), (61, True)])
def test_dead_letters_that_the_running_one_has_too_are_no_burst(dead: int, wrong: bool) -> None:
    assert bool(worse(RUNNING, replace(RUNNING, dead=dead), Bounds())) is wrong
    assert bool(worse_by_share(RUNNING, replace(RUNNING, dead=dead), Bounds())) is wrong


def test_dead_letters_may_all_come_early_and_must_not_hide_behind_what_is_gone() -> None:
    early = Numbers(steps=1, records=100, dead=50)
    assert not worse(RUNNING, early, Bounds())
    kept = Numbers(steps=1, records=100, dead=16)
    assert not worse(RUNNING, kept, Bounds())
    assert worse_by_share(RUNNING, kept, Bounds()) == (
        "16 of its 100 records are dead letters, 5 would be by the running one"
    )
    assert worse_by_share(Numbers(), Numbers(records=100, dead=11), Bounds())
