"""Windows and anomalies by the book: SEMANTICS.md in as few lines as it takes, over all events at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from statistics import median
from typing import Any

from tests.conformance.oracle import Event, Table

Windows = dict[tuple[str, int, int], tuple[int, int]]
"""Views and clicks by (subject, start, end)."""
Findings = dict[tuple[str, str, int, int], tuple[float, float, float, int]]
"""Observed, expected, score and support by (kind, subject, start, end)."""


def findings(events: Collection[Event], sessions: Table, setting: Callable[[str], Any], watermark: int) -> Findings:
    """All findings of the job about the events that were accepted, and the sessions that they make."""
    users = windows(events, "user", setting("click_window"), setting("click_every"), watermark)
    ads = windows(events, "ad", setting("ad_window"), setting("ad_window"), watermark)
    return {
        **click_rate(users, setting("click_limit")),
        **click_through(
            ads,
            support=setting("ad_views"),
            history=setting("ad_history"),
            least=setting("ad_history_least"),
            limit=setting("ad_score"),
            floor=setting("ad_floor"),
        ),
        **session_rules(
            sessions,
            longest=setting("session_longest"),
            pause=setting("session_pause"),
            actions=setting("session_actions"),
        ),
    }


def windows(events: Iterable[Event], subject: str, size: int, every: int, watermark: int) -> Windows:
    """The windows that the watermark has closed; the subject is a field of the events."""
    table: Windows = {}
    for event in events:
        for start in range((event.time - size) // every * every, event.time + 1, every):
            if start <= event.time < start + size <= watermark:
                key = (str(getattr(event, subject)), start, start + size)
                views, clicks = table.get(key, (0, 0))
                table[key] = (views + (event.action == 0), clicks + (event.action == 1))
    return table


def click_rate(table: Windows, limit: int) -> Findings:
    """Each window with too many clicks."""
    return {
        ("click-rate", user, start, end): (clicks, limit, clicks / limit, clicks)
        for (user, start, end), (_, clicks) in table.items()
        if clicks > limit
    }


def click_through(table: Windows, *, support: int, history: int, least: int, limit: float, floor: float) -> Findings:
    """Each supported window against those before it."""
    found: Findings = {}
    for ad in {subject for subject, _, _ in table}:
        supported = sorted((key, count) for key, count in table.items() if key[0] == ad and count[0] >= support)
        shares = [clicks / views for _, (views, clicks) in supported]
        for place, ((_, start, end), (views, _)) in enumerate(supported):
            past = shares[max(0, place - history) : place]
            if len(past) < least:
                continue
            expected = median(past)
            deviation = 1.4826 * median(abs(share - expected) for share in past)
            score = (shares[place] - expected) / max(deviation, floor)
            if abs(score) >= limit:
                found["click-through", ad, start, end] = (shares[place], expected, score, views)
    return found


def session_rules(sessions: Table, *, longest: int, pause: int, actions: int) -> Findings:
    """Each session, rule by rule."""
    found: Findings = {}
    for (user, start, end), run in sessions.items():
        times = [time for time, _, _ in run]
        span = times[-1] - times[0]
        if span > longest:
            found["session-length", user, start, end] = (span, longest, span / longest, len(times))
        breaks = [later - earlier for earlier, later in pairwise(times)]
        if len(times) >= actions and max(breaks) < pause:
            found["no-pause", user, start, end] = (max(breaks), pause, pause / max(1, *breaks), len(times))
    return found
