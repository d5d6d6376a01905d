"""The watermark: SEMANTICS.md, "Session"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AdstreamError
from common.operators.step import BEGINNING, END
from common.runtime.clock import Clock

STREAMS = ("views", "clicks")
MINUTE = 60_000
steps = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(STREAMS), st.integers(0, 1000)), st.integers(0, 3 * MINUTE)), max_size=20
)


def clock(out_of_orderness: int = 0, idle_after: int = 0) -> Clock:
    return Clock.start(STREAMS, out_of_orderness, idle_after)


def test_it_is_the_minimum_over_the_streams() -> None:
    after = clock(out_of_orderness=5).observe({"views": 100, "clicks": 40}, 0)
    assert after.watermark == 40 - 5 - 1


def test_a_stream_that_was_never_heard_holds_it_at_the_beginning() -> None:
    assert clock().observe({"views": 100}, 0).watermark == BEGINNING


def test_an_idle_stream_holds_it_no_longer() -> None:
    silent = clock(idle_after=MINUTE).observe({"views": 100}, 5)
    assert silent.watermark == BEGINNING
    still = silent.observe({"views": 101}, 5 + MINUTE - 1)
    assert still.watermark == BEGINNING
    assert still.observe({"views": 102}, 5 + MINUTE).watermark == 101


def test_how_many_steps_there_were_does_not_matter() -> None:
    now = clock(idle_after=MINUTE)
    for number in range(1000):
        now = now.observe({"views": number}, number)
    assert now.watermark == BEGINNING


def test_an_idle_stream_that_wakes_up_counts_again() -> None:
    idle = clock(idle_after=MINUTE).observe({"views": 100, "clicks": 100}, 0).observe({"views": 200}, MINUTE)
    assert idle.watermark == 199
    woken = idle.observe({"clicks": 150}, MINUTE + 1)
    assert woken.watermark == 199, "it never goes back"
    assert woken.observe({"views": 300, "clicks": 250}, MINUTE + 2).watermark == 249


def test_when_all_are_idle_it_stays() -> None:
    heard = clock(idle_after=MINUTE).observe({"views": 100, "clicks": 90}, 0)
    assert heard.observe({}, 9 * MINUTE).watermark == heard.watermark


def test_a_step_that_arrived_before_the_last_one_makes_nothing_younger() -> None:
    heard = clock(idle_after=MINUTE).observe({"views": 100, "clicks": 90}, MINUTE)
    assert heard.observe({"views": 200}, 0).arrived == MINUTE


def test_the_end() -> None:
    before = clock().observe({"views": 100, "clicks": 90}, 0)
    ended = before.ended()
    assert (ended.since(before).before, ended.since(before).after) == (89, END)


@given(steps, st.integers(0, 50), st.sampled_from([0, 1, MINUTE, 5 * MINUTE]))
def test_it_never_goes_back(taken: list[tuple[dict[str, int], int]], out_of_orderness: int, idle_after: int) -> None:
    now = clock(out_of_orderness, idle_after)
    for latest, arrived in taken:
        after = now.observe(latest, arrived)
        assert after.watermark >= now.watermark
        now = after


@given(steps, st.integers(0, 50))
def test_without_idleness_it_follows_from_what_was_seen(
    taken: list[tuple[dict[str, int], int]], out_of_orderness: int
) -> None:
    now = clock(out_of_orderness)
    for latest, arrived in taken:
        now = now.observe(latest, arrived)
    seen = {stream: max((step[stream] for step, _ in taken if stream in step), default=None) for stream in STREAMS}
    expected = (
        BEGINNING if None in seen.values() else min(t for t in seen.values() if t is not None) - out_of_orderness - 1
    )
    assert now.watermark == expected


def test_what_comes_after_the_end_is_refused() -> None:
    ended = Clock.start(("a", "b"), 5).observe({"a": 100}, 1).ended()
    assert ended.observe({}, 2).watermark == END
    assert ended.observe({"entities": 7}, 2).watermark == END, "the watermark does not follow it"
    with pytest.raises(AdstreamError, match="has ended, it was drained, but 'b' has more events"):
        ended.observe({"b": 10**12}, 2)
