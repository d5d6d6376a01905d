"""The anomalies job in the kit: views and clicks in, findings out.

ada C1@0                             events are written as `notation.py` does
click-rate ada 0..10 3 2 1.5 3       of ada in [0, 10): observed 3, expected 2, score 1.5, support 3
click-through 1 0..10 null           the finding about the advertisement 1 is no more: a tombstone
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.conformance.anomalies_oracle import findings
from tests.conformance.case import Case
from tests.conformance.expected import Standing, expected
from tests.conformance.job import SETTINGS
from tests.conformance.jobs.engagements import ADS
from tests.conformance.jobs.sessions import CLOCK, SESSIONS, STREAMS, shifted
from tests.conformance.oracle import Event, Oracle
from tests.conformance.packs import FAR

OF_ADS = "click-through"
CLOCK_AD = "0"
VALUES = ("observed", "expected", "score", "support")

_FOUND = re.compile(
    r"(click-rate|click-through|session-length|no-pause) (\S+) (-?\d+)\.\.(-?\d+) (?:null|(\S+) (\S+) (\S+) (\d+))"
)


class Found(NamedTuple):
    """A record of `ad-anomalies`; the value is None in a tombstone."""

    kind: str
    subject: str
    start: int
    end: int
    value: tuple[float, float, float, int] | None

    @property
    def stream(self) -> str:
        """The stream of findings."""
        return "ad-anomalies"

    @property
    def key(self) -> tuple[str, str, int, int]:
        """The kind, the subject and the window."""
        return self.kind, self.subject, self.start, self.end

    @property
    def gone(self) -> bool:
        """Whether it is no longer true."""
        return self.value is None

    def tombstone(self) -> Found:
        """The tombstone of its key."""
        return self._replace(value=None)


@dataclass(frozen=True)
class AnomaliesJob:
    """What the kit knows of `anomalies`."""

    name: str = "anomalies"
    groups: tuple[str, ...] = ("click-rate", "click-through", "session-rules", "together")
    sources: tuple[str, ...] = STREAMS
    outputs: tuple[str, ...] = ("ad-anomalies",)
    timed: tuple[str, ...] = STREAMS

    @property
    def settings(self) -> Mapping[str, Any]:
        """So small that a case can be reasoned about by hand."""
        sessions = {"gap": 10, "session_longest": 30, "session_pause": 4, "session_actions": 4}
        clicks = {"click_window": 10, "click_every": 5, "click_limit": 2}
        ads = {
            "ad_window": 10,
            "ad_views": 2,
            "ad_history": 3,
            "ad_history_least": 2,
            "ad_score": 2.0,
            "ad_floor": 0.125,
        }
        return MappingProxyType({**SETTINGS, "grace": 0, "dedupe": True, **sessions, **clicks, **ads})

    def parse_event(self, text: str) -> Event:
        return SESSIONS.parse_event(text)

    def show_event(self, event: Event) -> str:
        return SESSIONS.show_event(event)

    def parse_change(self, text: str) -> Found:
        match = _FOUND.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is not a finding: write it as 'click-rate ada 0..10 3 2 1.5 3' or with null")
        kind, subject, start, end, observed, expected_, score, support = match.groups()
        value = None if observed is None else (float(observed), float(expected_), float(score), int(support))
        return Found(kind, subject, int(start), int(end), value)

    def show_change(self, change: Found) -> str:
        value = ("null",) if change.value is None else (repr(each).removesuffix(".0") for each in change.value)
        return f"{change.kind} {change.subject} {change.start}..{change.end} {' '.join(value)}"

    def record(self, event: Event) -> tuple[str, bytes]:
        return SESSIONS.record(event)

    def ticks(self, time: int) -> tuple[Event, ...]:
        return SESSIONS.ticks(time)

    def read(self, stream: str, record: dict[str, Any]) -> Found | None:
        key, value = record["key"], record["value"]
        window = key["window"]
        found = None if value is None else tuple(value[name] for name in VALUES)
        return None if _of_ticks(key["subject"]) else Found(key["kind"], key["subject"], *window.values(), found)

    def read_late(self, record: dict[str, Any]) -> Event:
        return SESSIONS.read_late(record)

    def reach(self, case: Case) -> int:
        """All that can hold an event back adds up; windows must lie in a pack as they lie in a case."""
        ads = [event.ad for step in case.steps for event in step.events]
        moves = all(0 <= ad < ADS for ad in ads) and not any(
            FAR % case.setting(name) for name in ("click_every", "ad_window")
        )
        return SESSIONS.reach(case) + case.setting("click_window") + case.setting("ad_window") if moves else FAR

    def moved(self, item: Any, place: int, by: int) -> Any:
        if isinstance(item, Event):
            return shifted(item, lambda user: f"{place}.{user}", by, place * ADS)
        subject = str(int(item.subject) + place * ADS) if item.kind == OF_ADS else f"{place}.{item.subject}"
        return item._replace(subject=subject, start=item.start + by, end=item.end + by)

    def back(self, item: Any, place: int, by: int) -> Any:
        if isinstance(item, Event):
            return shifted(item, lambda user: user.removeprefix(f"{place}."), -by, -place * ADS)
        subject = item.subject.removeprefix(f"{place}.")
        if item.kind == OF_ADS and int(item.subject) // ADS == place:
            subject = str(int(item.subject) - place * ADS)
        return item._replace(subject=subject, start=item.start - by, end=item.end - by)

    def place_of(self, item: Any, places: int) -> int:
        if isinstance(item, Event):
            return SESSIONS.place_of(item, places)
        number = str(int(item.subject) // ADS) if item.kind == OF_ADS else item.subject.partition(".")[0]
        return int(number) if number.isdecimal() and int(number) < places else places - 1

    def expect(self, case: Case) -> Case:
        return expected(case, AnomaliesOracle(case))


class AnomaliesOracle(Oracle):
    """The oracle of sessions, and the findings about all that was accepted."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.setting("gap"), case.setting("grace"), case.setting("dedupe"))
        self._setting = case.setting

    def standing(self, watermark: int) -> Standing:
        events = set(self.accepted) if self.dedupe else self.accepted
        found = findings(events, self.table(watermark), self._setting, watermark)
        return {key: Found(*key, value) for key, value in found.items() if not _of_ticks(key[1])}


def _of_ticks(subject: str) -> bool:
    return subject in (CLOCK, CLOCK_AD)


ANOMALIES = AnomaliesJob()
