"""The policy against an oracle that keeps all readings, and the laws that it must keep whatever it is shown."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AdstreamError
from common.scaling.policy import MINUTE, SECOND, Decision, Limits, Reading, State, decide

EVERY = 15 * SECOND


def limits() -> st.SearchStrategy[Limits]:
    return st.builds(
        Limits,
        minimum=st.integers(1, 3),
        maximum=st.integers(3, 9),
        step=st.integers(1, 4),
        up_after=st.integers(0, 4).map(lambda n: n * EVERY),
        down_after=st.integers(0, 8).map(lambda n: n * EVERY),
        cool_down=st.integers(0, 6).map(lambda n: n * EVERY),
        busy=st.sampled_from([0.3, 0.6, 0.9]),
        delay=st.sampled_from([0, MINUTE]),
    )


Seen = tuple[int, int, float]
"""Lag and delay in ms, and how busy."""
SEEN = st.lists(
    st.tuples(
        st.sampled_from([0, 10 * SECOND, 35 * SECOND, 55 * SECOND, 5 * MINUTE]),
        st.sampled_from([0, 2 * MINUTE]),
        st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    ),
    max_size=60,
)


def played(limits: Limits, seen: list[Seen]) -> list[tuple[Reading, Decision]]:
    state, parallelism, story = State(), limits.minimum, []
    for number, (lag, delay, busy) in enumerate(seen):
        reading = Reading(number * EVERY, parallelism, lag, delay, busy)
        state, decision = decide(limits, state, reading)
        parallelism = decision.target
        story.append((reading, decision))
    return story


def behind(limits: Limits, reading: Reading) -> bool:
    return reading.lag > limits.lag or 0 < limits.delay < reading.delay


def spare(limits: Limits, reading: Reading) -> bool:
    fewer = max(limits.minimum, reading.parallelism - limits.step)
    return not behind(limits, reading) and reading.busy * reading.parallelism / fewer <= limits.busy


def by_history(limits: Limits, story: list[tuple[Reading, Decision]], reading: Reading) -> int:
    """The right number, found by going through all that was seen since the last change."""
    now = reading.parallelism
    last = max((number for number, (_, decision) in enumerate(story) if decision.changes), default=-1)
    since = [seen for seen, _ in story[last + 1 :]] + [reading]
    if last >= 0 and reading.at - story[last][0].at < limits.cool_down:
        return now

    def held(is_so: object, duration: int) -> bool:
        run = 0
        for seen in reversed(since):
            if not is_so(limits, seen):  # type: ignore[operator]
                break
            run = reading.at - seen.at
        return bool(is_so(limits, reading)) and run >= duration  # type: ignore[operator]

    before = story[-1][0] if story else None
    if held(behind, limits.up_after):
        if before is not None and reading.lag < before.lag:
            rate = (before.lag - reading.lag) / (reading.at - before.at)
            if int(reading.lag / rate) <= limits.up_after:
                return now
        return min(limits.maximum, now + limits.step)
    if held(spare, limits.down_after):
        return max(limits.minimum, now - limits.step)
    return now


@given(limits(), SEEN)
def test_a_decision_is_what_the_whole_history_says(limits: Limits, seen: list[Seen]) -> None:
    story = played(limits, seen)
    for number, (reading, decision) in enumerate(story):
        assert decision.target == by_history(limits, story[:number], reading)


@given(limits(), SEEN)
def test_bounds_step_and_cool_down_hold_whatever_is_seen(limits: Limits, seen: list[Seen]) -> None:
    changes = [decision for _, decision in played(limits, seen) if decision.changes]
    for change in changes:
        assert limits.minimum <= change.target <= limits.maximum
        assert abs(change.target - change.parallelism) <= limits.step
        assert change.reason
    assert all(b.at - a.at >= limits.cool_down for a, b in pairwise(changes))


@given(limits(), st.floats(0.05, 20), st.integers(1, 9))
def test_a_steady_load_is_settled_without_going_back(limits: Limits, load: float, first: int) -> None:
    """Load is what one task can do: a job with fewer tasks falls behind, and one with enough keeps up."""
    state, parallelism, targets = State(), first, []
    for number in range(400):
        lag = 5 * MINUTE if load > parallelism else 0
        reading = Reading(number * EVERY, parallelism, lag, 0, min(1.0, load / parallelism))
        state, decision = decide(limits, state, reading)
        parallelism = decision.target
        targets.append(parallelism)
    inside = [target for target in targets if limits.minimum <= target <= limits.maximum]
    assert inside == sorted(inside) or inside == sorted(inside, reverse=True)
    assert len(set(targets[200:])) == 1
    assert targets[-1] >= min(load, limits.maximum) or targets[-1] == limits.maximum


def test_a_gap_in_the_readings_is_no_proof() -> None:
    limits, late = Limits(up_after=2 * MINUTE), 5 * MINUTE
    state, _ = decide(limits, State(), Reading(0, 2, late, 0, 1.0))
    _, decision = decide(limits, state, Reading(limits.gap + 1, 2, late, 0, 1.0))
    assert not decision.changes
    _, decision = decide(limits, state, Reading(limits.gap, 2, late, 0, 1.0))
    assert (decision.target, decision.reason) == (4, "its next record waits for 5m for 5m")


def test_a_clock_that_was_put_back_holds_nothing_up() -> None:
    limits, late, hour = Limits(), 5 * MINUTE, 60 * MINUTE
    ahead = State(read=hour, lag=late, behind=hour - MINUTE, changed=hour - MINUTE)
    state, decision = decide(limits, ahead, Reading(0, 2, late - SECOND, 0, 1.0))
    assert decision.reason == "its next record waits for 4m59s for 0s, of 2m"
    for at in range(EVERY, limits.cool_down, EVERY):
        state, decision = decide(limits, state, Reading(at, 2, late, 0, 1.0))
        assert not decision.changes
    _, decision = decide(limits, state, Reading(limits.cool_down, 2, late, 0, 1.0))
    assert decision.target == 4


def test_a_job_that_is_about_to_catch_up_gets_no_more() -> None:
    limits = Limits(up_after=0)
    state, _ = decide(limits, State(), Reading(0, 8, 4 * MINUTE, 0, 1.0))
    _, slowly = decide(limits, state, Reading(MINUTE, 2, 3 * MINUTE, 0, 1.0))
    _, soon = decide(Limits(up_after=3 * MINUTE), state, Reading(MINUTE, 2, 3 * MINUTE, 0, 1.0))
    assert slowly.target == 4 and soon.target == 2


def test_a_job_outside_the_bounds_is_brought_inside_at_once() -> None:
    assert decide(Limits(maximum=4), State(), Reading(0, 9, 0, 0, 1.0))[1].target == 4


@pytest.mark.parametrize("wrong", [{"minimum": 0}, {"minimum": 5, "maximum": 4}, {"step": 0}, {"busy": 1.0}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AdstreamError):
        Limits(**wrong)  # type: ignore[arg-type]
