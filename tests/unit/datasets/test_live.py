from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np
import pytest

from common.contracts.contract import load
from common.datasets.live import WARM_UP, as_it_arrives, live_traffic, records
from common.datasets.settings import GeneratorSettings
from common.datasets.traffic import Events

NOW = 1_800_000_000_000
QUIET: dict[str, Any] = {"late": 0, "duplicates": 0, "malformed": 0}


class Wall:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = NOW
        self.waits = 0

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        self.waits += 1


def until(moment: int, rate: float = 500, **settings: Any) -> Events:
    """What arrives until a moment, from the warm-up on."""
    slices = live_traffic(GeneratorSettings(users=200, **settings), rate, NOW)
    taken = list(takewhile(lambda events: len(events) == 0 or events.arrival[0] < moment, slices))
    return Events.concat(taken)


def test_the_rate_holds_from_the_first_moment_on() -> None:
    events = until(NOW + 60_000, **QUIET)
    counts = np.histogram(events.arrival, bins=np.arange(NOW, NOW + 60_001, 10_000))[0]
    assert counts == pytest.approx(np.full(6, 5_000), rel=0.15)


def test_event_times_are_now_and_in_disorder() -> None:
    events = until(NOW + 20_000, disorder=3_000, **QUIET)
    delay = events.arrival - events.time
    assert (delay.min(), delay.max()) == (0, 3_000)
    assert (np.diff(events.time) < 0).any()
    assert (np.diff(events.arrival) >= 0).all()


def test_events_come_when_they_are_due() -> None:
    wall = Wall()
    came = []
    for events in as_it_arrives(
        live_traffic(GeneratorSettings(users=200, **QUIET), 500, NOW), lambda: wall.now, wall.sleep
    ):
        assert (events.arrival <= wall.now).all() and (events.arrival > wall.now - 1_000).all()
        came.append(events)
        if wall.now > NOW + 10_000:
            break
    arrival = Events.concat(came).arrival
    assert arrival.min() > NOW - 1_000
    assert (np.diff(arrival) >= 0).all()
    assert len(arrival) == pytest.approx(5_000, rel=0.15)


def test_whoever_is_behind_catches_up_without_waiting() -> None:
    wall = Wall()
    late = as_it_arrives(live_traffic(GeneratorSettings(users=200), 500, NOW), lambda: wall.now, wall.sleep)
    next(late)
    wall.now += 10_000
    waits, caught_up = wall.waits, 0
    while wall.waits == waits:
        caught_up += len(next(late))
    assert caught_up == pytest.approx(5_000, rel=0.2)


def test_events_are_records_of_their_contracts() -> None:
    events = until(NOW - WARM_UP + 60_000)
    made = records(events, 200)
    assert made["ad-views"].num_rows + made["ad-clicks"].num_rows == len(events)
    for stream, table in made.items():
        assert table.schema.names == load(stream).arrow.names
    people = {name for name in made["ad-views"]["key"].to_pylist() if name.startswith("user-")}
    assert people <= {f"user-{number}" for number in range(200)}
