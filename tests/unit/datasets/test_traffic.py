from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.datasets.settings import GeneratorSettings
from common.datasets.traffic import Damage, Events, Traffic

QUIET: dict[str, Any] = {"late": 0, "duplicates": 0, "malformed": 0}
DAMAGES = (Damage.EMPTY_USER, Damage.NEGATIVE_TIME)


def files(**settings: Any) -> list[Events]:
    """What each file holds."""
    traffic = Traffic(GeneratorSettings(**{"events": 20_000, "users": 500, **settings}), DAMAGES)
    return [Events.concat(list(slices)) for slices in traffic.files()]


def everything(**settings: Any) -> Events:
    return Events.concat(files(**settings))


def rows(events: Events) -> list[tuple[int, ...]]:
    return sorted(zip(*(column.tolist() for column in (events.user, events.advertisement, events.time, events.click))))  # noqa: B905


@pytest.mark.parametrize("count", [1, 2, 7, 19_999, 20_000])
def test_exactly_so_many_events_happen(count: int) -> None:
    assert len(everything(events=count, **QUIET)) == count


def test_the_click_through_is_exact() -> None:
    events = everything(click_through=0.25, files=1, **QUIET)
    assert np.count_nonzero(events.click) == 4_000


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_shares_are_as_set(share: float) -> None:
    events = everything(late=share, duplicates=share, malformed=share)
    first = ~events.again & (events.damage == Damage.NONE)
    assert np.count_nonzero(first) == 20_000
    for marked in (events.late & first, events.again, events.damage != Damage.NONE):
        assert np.count_nonzero(marked) == pytest.approx(20_000 * share, abs=10)


def test_bots_have_their_share_of_views_and_click_more_readily() -> None:
    events = everything(bots=0.1, **QUIET)
    bot = events.user >= 500
    views, clicks = ~events.click, events.click
    assert np.count_nonzero(bot & views) == pytest.approx(0.1 * np.count_nonzero(views), abs=20)
    of_bots = np.count_nonzero(bot & clicks) / np.count_nonzero(bot & views)
    of_people = np.count_nonzero(~bot & clicks) / np.count_nonzero(~bot & views)
    assert of_bots > 3 * of_people


def test_a_bot_never_pauses() -> None:
    events = everything(bots=0.1, files=1, **QUIET)
    of_bots = events.take((events.user >= 500) & ~events.click)
    pauses = np.diff(np.sort(of_bots.time[of_bots.user == of_bots.user[0]]))
    assert np.quantile(pauses, 0.9) < 5_000


def test_without_bots_there_are_only_people() -> None:
    assert everything(bots=0, **QUIET).user.max() < 500


def test_a_click_follows_a_view_of_the_same_user_and_advertisement() -> None:
    events = everything(click_through=0.5, **QUIET)
    seen: dict[tuple[int, int], list[int]] = {}
    for user, ad, time, click in rows(events):
        if not click:
            seen.setdefault((user, ad), []).append(time)
    after = [
        min((time - view for view in seen.get((user, ad), []) if view < time), default=None)
        for user, ad, time, click in rows(events)
        if click
    ]
    assert all(delay is not None and delay < 300_000 for delay in after)


@pytest.mark.parametrize("disorder", [0, 60_000])
def test_disorder_is_bounded_so_nothing_is_late_under_a_watermark_that_allows_it(disorder: int) -> None:
    """The watermark of all that came before, over both streams: never lower than what a job computes."""
    watermark = -1
    for events in files(disorder=disorder, late=0, duplicates=0, malformed=0, files=50):
        assert (events.time > watermark).all()
        watermark = max(watermark, int(events.time.max(initial=0)) - disorder - 1)


def test_events_are_out_of_order_within_and_across_files() -> None:
    times = everything(disorder=60_000, **QUIET).time
    assert np.count_nonzero(np.diff(times) < 0) > 1_000


def test_late_events_are_behind_the_watermark() -> None:
    watermark, behind = -1, 0
    for events in files(late=0.05, duplicates=0, malformed=0, files=100):
        assert events.late[events.time <= watermark].all()
        behind += int(np.count_nonzero(events.time <= watermark))
        watermark = max(watermark, int(events.time.max(initial=0)) - 60_000 - 1)
    assert behind > 500


def test_a_redelivery_is_the_same_event_and_may_come_in_a_later_file() -> None:
    arrived = files(duplicates=0.1, late=0, malformed=0, files=100, redelivery_within=3_600_000)
    first_file = {row: i for i, events in enumerate(arrived) for row in rows(events.take(~events.again))}
    across = 0
    for i, events in enumerate(arrived):
        for row in rows(events.take(events.again)):
            assert first_file[row] <= i
            across += first_file[row] < i
    assert across > 500


def test_what_goes_wrong_does_not_change_what_is_right() -> None:
    def right(**settings: Any) -> list[tuple[int, ...]]:
        events = everything(**settings)
        return rows(events.take(~events.again & (events.damage == Damage.NONE)))

    assert right(**QUIET) == right(late=0.1, duplicates=0.2, malformed=0.1)


def test_the_seed_decides() -> None:
    assert rows(everything(seed=1)) == rows(everything(seed=1))
    assert rows(everything(seed=1)) != rows(everything(seed=2))


def test_popularity_follows_zipf() -> None:
    seen = np.bincount(everything(advertisements=100, zipf=1.0, click_through=0, **QUIET).advertisement, minlength=100)
    assert seen[0] / seen[9] == pytest.approx(10, rel=0.25)
    flat = np.bincount(everything(advertisements=100, zipf=0, click_through=0, **QUIET).advertisement, minlength=100)
    assert flat.max() < 2 * flat.min()


def test_traffic_rises_and_falls_with_the_day() -> None:
    hour = everything(bots=0, **QUIET).time // 3_600_000 % 24
    of_hour = np.bincount(hour, minlength=24)
    assert of_hour[19:22].sum() > 3 * of_hour[7:10].sum()


def test_visits_start_in_the_span() -> None:
    events = everything(start=1_000_000_000_000, span=86_400_000, bots=0, disorder=0, **QUIET)
    assert events.time.min() >= 1_000_000_000_000
    assert np.quantile(events.time, 0.99) < 1_000_086_400_000
    assert events.time.max() < 1_000_086_400_000 + 3_600_000


def test_a_file_is_made_in_slices_so_that_memory_stays_bounded() -> None:
    settings = GeneratorSettings(events=3_000_000, files=2)
    assert Traffic(settings, DAMAGES).slices_per_file == 3
