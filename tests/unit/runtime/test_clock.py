"""The watermark: SEMANTICS.md, "Session"."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.operators.step import BEGINNING, END
from common.runtime.clock import Clock

steps = st.lists(st.dictionaries(st.sampled_from(["views", "clicks"]), st.integers(0, 1000)), max_size=20)


def clock(out_of_orderness: int = 0, idle_steps: int = 0) -> Clock:
    return Clock.start(("views", "clicks"), out_of_orderness, idle_steps)


def test_it_is_the_minimum_over_the_streams() -> None:
    after = clock(out_of_orderness=5).observe({"views": 100, "clicks": 40})
    assert after.watermark == 40 - 5 - 1


def test_a_stream_that_was_never_heard_holds_it_at_the_beginning() -> None:
    assert clock().observe({"views": 100}).watermark == BEGINNING


def test_an_idle_stream_holds_it_no_longer() -> None:
    silent = clock(idle_steps=2).observe({"views": 100})
    assert silent.watermark == BEGINNING
    assert silent.observe({"views": 101}).watermark == 100


def test_an_idle_stream_that_wakes_up_counts_again() -> None:
    idle = clock(idle_steps=1).observe({"views": 100, "clicks": 100}).observe({"views": 200})
    assert idle.watermark == 199
    woken = idle.observe({"clicks": 150})
    assert woken.watermark == 199, "it never goes back"
    assert woken.observe({"views": 300, "clicks": 250}).watermark == 249


def test_when_all_are_idle_it_stays() -> None:
    heard = clock(idle_steps=1).observe({"views": 100, "clicks": 90})
    assert heard.observe({}).watermark == heard.watermark


def test_the_end() -> None:
    before = clock().observe({"views": 100, "clicks": 90})
    ended = before.ended()
    assert (ended.since(before).before, ended.since(before).after) == (89, END)


@given(steps, st.integers(0, 50), st.integers(0, 3))
def test_it_never_goes_back(taken: list[dict[str, int]], out_of_orderness: int, idle_steps: int) -> None:
    now = clock(out_of_orderness, idle_steps)
    for latest in taken:
        after = now.observe(latest)
        assert after.watermark >= now.watermark
        now = after


@given(steps, st.integers(0, 50))
def test_without_idleness_it_follows_from_what_was_seen(taken: list[dict[str, int]], out_of_orderness: int) -> None:
    now = clock(out_of_orderness)
    for latest in taken:
        now = now.observe(latest)
    seen = {
        stream: max((step[stream] for step in taken if stream in step), default=None) for stream in ("views", "clicks")
    }
    expected = (
        BEGINNING if None in seen.values() else min(t for t in seen.values() if t is not None) - out_of_orderness - 1
    )
    assert now.watermark == expected
