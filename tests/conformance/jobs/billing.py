"""The billing job in the kit: views, clicks and advertisements in, sessions and engagements out, in one job.

It is written as `sessions` and `engagements` are. The advertisement 0 is that of the ticks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tests.conformance.case import Case
from tests.conformance.engagements_oracle import engagements
from tests.conformance.expected import Standing, expected
from tests.conformance.jobs.engagements import (
    ENGAGEMENTS,
    Described,
    Engaged,
    describe,
    described_record,
    parse_described,
    show_described,
)
from tests.conformance.jobs.sessions import SESSIONS, STREAMS, SessionsOracle
from tests.conformance.notation import Change
from tests.conformance.oracle import Event

CLOCK_AD = 0


@dataclass(frozen=True)
class BillingJob:
    """What the kit knows of `billing`."""

    name: str = "billing"
    groups: tuple[str, ...] = ("chained",)
    sources: tuple[str, ...] = (*STREAMS, "advertisements")
    outputs: tuple[str, ...] = ("ad-sessions", "ad-engagements")
    timed: tuple[str, ...] = STREAMS

    @property
    def settings(self) -> Mapping[str, Any]:
        return MappingProxyType({**SESSIONS.settings, **ENGAGEMENTS.settings})

    def parse_event(self, text: str) -> Event | Described:
        return parse_described(text) if _is_ad(text) else SESSIONS.parse_event(text)

    def show_event(self, event: Event | Described) -> str:
        return SESSIONS.show_event(event) if isinstance(event, Event) else show_described(event)

    def parse_change(self, text: str) -> Change | Engaged:
        return ENGAGEMENTS.parse_change(text) if _is_ad(text) else SESSIONS.parse_change(text)

    def show_change(self, change: Change | Engaged) -> str:
        return SESSIONS.show_change(change) if isinstance(change, Change) else ENGAGEMENTS.show_change(change)

    def record(self, event: Event | Described) -> tuple[str, bytes]:
        return SESSIONS.record(event) if isinstance(event, Event) else described_record(event)

    def ticks(self, time: int) -> tuple[Event, ...]:
        return SESSIONS.ticks(time)

    def read(self, stream: str, record: dict[str, Any]) -> Change | Engaged | None:
        if stream == "ad-sessions":
            return SESSIONS.read(stream, record)
        return None if record["key"] == CLOCK_AD else ENGAGEMENTS.read(stream, record)

    def read_late(self, record: dict[str, Any]) -> Event:
        return SESSIONS.read_late(record)

    def reach(self, case: Case) -> int:
        return SESSIONS.reach(case) + ENGAGEMENTS.reach(case)

    def moved(self, item: Any, place: int, by: int) -> Any:
        return ENGAGEMENTS.moved(item, place, by)

    def back(self, item: Any, place: int, by: int) -> Any:
        return ENGAGEMENTS.back(item, place, by)

    def place_of(self, item: Any, places: int) -> int:
        return ENGAGEMENTS.place_of(item, places)

    def expect(self, case: Case) -> Case:
        sessions = SessionsOracle(case.setting("gap"), case.setting("grace"), case.setting("dedupe"))
        return expected(case, BillingOracle(sessions, case.setting("attribution")))


class BillingOracle:
    """The oracle of sessions, and the engagements of all that it has closed."""

    def __init__(self, sessions: SessionsOracle, attribution: str) -> None:
        self._sessions = sessions
        self._attribution = attribution
        self._advertisements: dict[int, tuple[str, str]] = {}

    @property
    def late(self) -> list[Event]:
        return self._sessions.late

    def arrive(self, batch: list[Any], before: int) -> None:
        self._sessions.arrive([event for event in batch if isinstance(event, Event)], before)
        for event in batch:
            if isinstance(event, Described):
                describe(self._advertisements, event)

    def standing(self, watermark: int) -> Standing:
        sessions = self._sessions.standing(watermark)
        table = engagements((change.actions for change in sessions.values()), self._advertisements, self._attribution)
        return {**sessions, **{ad: Engaged(ad, *row) for ad, row in table.items()}}


def _is_ad(text: str) -> bool:
    return text.startswith("ad") and text[2:3] in "-0123456789"


BILLING = BillingJob()
