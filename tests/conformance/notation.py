"""How cases and differences write events and sessions: short enough to reason about by hand.

ada V1@0                  ada viewed advertisement 1 at time 0; C1@0 is a click
ada 0..20 V1@0 C1@10      the session [0, 20) of ada is now these two actions, in this order
ada 0..10 null            the session [0, 10) of ada is no more: a tombstone
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.conformance.oracle import Event

ACTIONS = "VC"
"""The letters of the actions 0 and 1: view and click."""

_ACTION = re.compile(r"([VC])(-?\d+)@(-?\d+)")
_EVENT = re.compile(r"(\S+) (\S+)")
_CHANGE = re.compile(r"(\S+) (-?\d+)\.\.(-?\d+) (.+)")

Action = tuple[int, int, int]
"""(time, action, advertisement), as the oracle sorts them."""


class Change(NamedTuple):
    """A record of `ad-sessions`: what a session is now; `actions` is None in a tombstone."""

    user: str
    start: int
    end: int
    actions: tuple[Action, ...] | None

    @property
    def stream(self) -> str:
        """The stream of sessions."""
        return "ad-sessions"

    @property
    def key(self) -> tuple[str, int, int]:
        """The user and the window."""
        return self.user, self.start, self.end

    @property
    def gone(self) -> bool:
        """Whether the session is no more."""
        return self.actions is None

    def tombstone(self) -> Change:
        """The tombstone of its key."""
        return self._replace(actions=None)


def parse_event(text: str) -> Event:
    """Reads `ada V1@0`.

    Raises:
        ValueError: It is not an event.
    """
    match = _EVENT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not an event: write it as 'ada V1@0'")
    time, action, ad = _parse_action(match[2])
    return Event(match[1], time, action, ad)


def parse_change(text: str) -> Change:
    """Reads `ada 0..20 V1@0 C1@10` or `ada 0..10 null`.

    Raises:
        ValueError: It is not a change of a session.
    """
    match = _CHANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a session: write it as 'ada 0..20 V1@0 C1@10' or 'ada 0..10 null'")
    user, start, end, actions = match.groups()
    parsed = None if actions == "null" else tuple(_parse_action(action) for action in actions.split(" "))
    return Change(user, int(start), int(end), parsed)


def show_event(event: Event) -> str:
    """The text that `parse_event` reads back."""
    return f"{event.user} {_show_action((event.time, event.action, event.ad))}"


def show_change(change: Change) -> str:
    """The text that `parse_change` reads back."""
    actions = "null" if change.actions is None else " ".join(map(_show_action, change.actions))
    return f"{change.user} {change.start}..{change.end} {actions}"


def _parse_action(text: str) -> Action:
    match = _ACTION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not an action: write it as V1@0 or C1@0")
    return int(match[3]), ACTIONS.index(match[1]), int(match[2])


def _show_action(action: Action) -> str:
    time, code, ad = action
    return f"{ACTIONS[code]}{ad}@{time}"
