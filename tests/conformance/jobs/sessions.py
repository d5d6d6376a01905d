"""The sessions job in the kit: views and clicks in, sessions out.

Events are written `ada V1@0`, changes `ada 0..20 V1@0 C1@10` (see `notation.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from tests.conformance.case import Case
from tests.conformance.expected import Standing, expected
from tests.conformance.job import SETTINGS
from tests.conformance.notation import Action, Change, parse_change, parse_event, show_change, show_event
from tests.conformance.oracle import Event, Oracle

STREAMS = ("ad-views", "ad-clicks")
"""The input streams, by the code of their action."""
ACTIONS = ("View", "Click")
CLOCK = "clock"
"""The user whose events only move the watermark; its sessions are nobody's concern."""

Item = TypeVar("Item", Event, Change)


@dataclass(frozen=True)
class SessionsJob:
    """What the kit knows of `sessions`."""

    name: str = "sessions"
    groups: tuple[str, ...] = (
        "grouping",
        "exact-gap",
        "disorder",
        "drop",
        "wait",
        "grace",
        "old-beside-open",
        "late-limit",
        "about-to-be-forgotten",
        "redelivery",
        "silent-and-idle",
        "bad-input",
        "restart",
        "rescale",
        "bounded",
    )
    sources: tuple[str, ...] = STREAMS
    outputs: tuple[str, ...] = ("ad-sessions",)
    timed: tuple[str, ...] = STREAMS

    @property
    def settings(self) -> Mapping[str, Any]:
        """Times are so small that a case can be reasoned about by hand."""
        return MappingProxyType({**SETTINGS, "gap": 10, "grace": 0, "dedupe": True})

    def parse_event(self, text: str) -> Event:
        return parse_event(text)

    def show_event(self, event: Event) -> str:
        return show_event(event)

    def parse_change(self, text: str) -> Change:
        return parse_change(text)

    def show_change(self, change: Change) -> str:
        return show_change(change)

    def record(self, event: Event) -> tuple[str, bytes]:
        value = {"advertisementId": event.ad, "createdEventTime": event.time}
        return STREAMS[event.action], json.dumps({"key": event.user, "value": value}, ensure_ascii=False).encode()

    def ticks(self, time: int) -> tuple[Event, ...]:
        """A view and a click of `CLOCK`."""
        return tuple(Event(CLOCK, time, action, 0) for action in (0, 1))

    def read(self, stream: str, record: dict[str, Any]) -> Change | None:
        window, value = record["key"]["window"], record["value"]
        actions = None if value is None else tuple(map(_action, value["actions"]))
        user = record["key"]["userId"]
        return None if user == CLOCK else Change(user, window["start"], window["end"], actions)

    def read_late(self, record: dict[str, Any]) -> Event:
        value = record["value"]
        event = json.loads(value["value"])
        time = event["createdEventTime"]
        assert value["eventTime"] == time, f"the late event {record} has two times"
        return Event(record["key"], time, STREAMS.index(value["stream"]), event["advertisementId"])

    def reach(self, case: Case) -> int:
        """Gap, grace and wait add up."""
        times = [event.time for step in case.steps for event in case.arrivals(step) if isinstance(event, Event)]
        return max(times, default=0) + sum(case.setting(name) for name in ("gap", "grace", "out_of_orderness"))

    def moved(self, item: Item, place: int, by: int) -> Item:
        return shifted(item, lambda user: f"{place}.{user}", by)

    def back(self, item: Item, place: int, by: int) -> Item:
        return shifted(item, lambda user: user.removeprefix(f"{place}."), -by)

    def place_of(self, item: Event | Change, places: int) -> int:
        number = item.user.partition(".")[0]
        return int(number) if number.isdecimal() and int(number) < places else places - 1

    def expect(self, case: Case) -> Case:
        return expected(case, SessionsOracle(case.setting("gap"), case.setting("grace"), case.setting("dedupe")))


class SessionsOracle(Oracle):
    """The oracle of sessions, in the kit's notation."""

    def standing(self, watermark: int) -> Standing:
        changes = [Change(*key, tuple(actions)) for key, actions in self.table(watermark).items() if key[0] != CLOCK]
        return {change.key: change for change in changes}


def shifted(item: Item, user: Callable[[str], str], by: int, ads: int = 0) -> Item:
    """An event or a session of another user, later by so many ms, of advertisements with ids so much higher."""
    if isinstance(item, Event):
        return item._replace(user=user(item.user), time=item.time + by, ad=item.ad + ads)
    actions = item.actions and tuple((time + by, action, ad + ads) for time, action, ad in item.actions)
    return Change(user(item.user), item.start + by, item.end + by, actions)


def _action(action: dict[str, Any]) -> Action:
    return action["eventTime"], ACTIONS.index(action["action"]), action["advertisementId"]


SESSIONS = SessionsJob()
