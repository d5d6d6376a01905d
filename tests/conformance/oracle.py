"""The answer by the book: SEMANTICS.md in as few lines as it takes, for engines to be compared with.

It is slow and plain on purpose: it keeps every accepted event for ever and regroups them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Event(NamedTuple):
    """One ad view (action 0) or click (action 1)."""

    user: str
    time: int
    action: int
    ad: int


Key = tuple[str, int, int]
"""(user, window start, window end)"""
Table = dict[Key, list[tuple[int, int, int]]]
"""Actions (time, action, ad) in order, by session."""


@dataclass
class Oracle:
    """What was accepted, what was late, and the table that must result."""

    gap: int
    grace: int
    dedupe: bool = True
    accepted: list[Event] = field(default_factory=list)
    late: list[Event] = field(default_factory=list)

    def arrive(self, batch: list[Event], before: int) -> None:
        """A batch arrives while the watermark is `before`."""
        for event in batch:
            (self.late if event.time <= before - self.grace else self.accepted).append(event)

    def table(self, watermark: int) -> Table:
        """The sessions of all accepted events that the watermark has closed."""
        sessions: Table = {}
        events = sorted(set(self.accepted) if self.dedupe else self.accepted)
        run: list[Event] = []
        for place, event in enumerate(events):
            run.append(event)
            following = events[place + 1] if place + 1 < len(events) else None
            if following is None or following.user != event.user or following.time - event.time > self.gap:
                key = (event.user, run[0].time, event.time + self.gap)
                sessions[key] = [(e.time, e.action, e.ad) for e in run]
                run = []
        return {key: actions for key, actions in sessions.items() if key[2] <= watermark}
