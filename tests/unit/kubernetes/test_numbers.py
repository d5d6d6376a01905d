from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from common.kubernetes.numbers import Bounds, Numbers, behind, burst
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
