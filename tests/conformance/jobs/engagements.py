"""The engagements job in the kit: sessions and advertisements in, advertisements with their conversions out.

ada 0..20 V1@0 C1@10      a session arrives, as `notation.py` writes it; `ada 0..20 null` is its tombstone
ad1 Gerbils/Pets          the advertisement 1 is named Gerbils, and of the type Pets; `ad1 null`: it was deleted
ad1 5 Gerbils/Pets        it comes out with 5 conversions; `ad1 - Gerbils/Pets`: with none, `ad1 5 -`: it is unknown
ad1 null                  it comes out as a tombstone
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.conformance.case import Case
from tests.conformance.engagements_oracle import engagements
from tests.conformance.expected import Standing, expected
from tests.conformance.job import SETTINGS
from tests.conformance.jobs.sessions import ACTIONS, SESSIONS, shifted
from tests.conformance.notation import Action, Change, parse_change, show_change
from tests.conformance.packs import FAR

ADS = 1_000
"""How far apart the ids of advertisements are that cases of a pack have; a case has smaller ones, or none to move."""

_DESCRIBED = re.compile(r"ad(-?\d+) (?:([^/]+)/([^/]+)|null)")
_ENGAGED = re.compile(r"ad(-?\d+) (?:(-|\d+) (?:-|([^/]+)/([^/]+))|null)")


class Described(NamedTuple):
    """A record of `advertisements`; name and type are None in a tombstone."""

    ad: int
    name: str | None
    type: str | None


class Engaged(NamedTuple):
    """A record of `ad-engagements`; all is None in a tombstone."""

    ad: int
    sum: int | None
    name: str | None
    type: str | None

    @property
    def stream(self) -> str:
        """The stream of engagements."""
        return "ad-engagements"

    @property
    def key(self) -> int:
        """The advertisement."""
        return self.ad

    @property
    def gone(self) -> bool:
        """Whether neither side is there."""
        return self.sum is None and self.name is None

    def tombstone(self) -> Engaged:
        """The tombstone of its key."""
        return Engaged(self.ad, None, None, None)


@dataclass(frozen=True)
class EngagementsJob:
    """What the kit knows of `engagements`."""

    name: str = "engagements"
    groups: tuple[str, ...] = ("conversions", "corrections", "enriched", "bad-entities")
    sources: tuple[str, ...] = ("ad-sessions", "advertisements")
    outputs: tuple[str, ...] = ("ad-engagements",)
    timed: tuple[str, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        return MappingProxyType({**SETTINGS, "attribution": "every_view"})

    def parse_event(self, text: str) -> Change | Described:
        return parse_described(text) if text.startswith("ad") and text[2:3] in "-0123456789" else parse_change(text)

    def show_event(self, event: Change | Described) -> str:
        return show_change(event) if isinstance(event, Change) else show_described(event)

    def parse_change(self, text: str) -> Engaged:
        match = _ENGAGED.fullmatch(text)
        if match is None:
            raise ValueError(
                f"'{text}' is not an engagement: write it as 'ad1 5 Gerbils/Pets', 'ad1 5 -' or 'ad1 null'"
            )
        ad, total, name, type_ = match.groups()
        return Engaged(int(ad), None if total in (None, "-") else int(total), name, type_)

    def show_change(self, change: Engaged) -> str:
        if change.gone:
            return f"ad{change.ad} null"
        total = "-" if change.sum is None else change.sum
        return f"ad{change.ad} {total} {'-' if change.name is None else f'{change.name}/{change.type}'}"

    def record(self, event: Change | Described) -> tuple[str, bytes]:
        return session_record(event) if isinstance(event, Change) else described_record(event)

    def ticks(self, time: int) -> tuple[Any, ...]:
        """Nothing here has a time."""
        return ()

    def read(self, stream: str, record: dict[str, Any]) -> Engaged | None:
        value = record["value"] or {"sum": None, "name": None, "type": None}
        return Engaged(record["key"], value["sum"], value["name"], value["type"])

    def read_late(self, record: dict[str, Any]) -> Any:
        raise AssertionError(f"nothing can be late here, but this is: {record}")

    def reach(self, case: Case) -> int:
        events = [event for step in case.steps for event in step.events]
        return 0 if all(0 <= ad < ADS for event in events for ad in _ads(event)) else FAR

    def moved(self, item: Any, place: int, by: int) -> Any:
        if isinstance(item, Described | Engaged):
            return item._replace(ad=item.ad + place * ADS)
        return shifted(item, lambda user: f"{place}.{user}", by, place * ADS)

    def back(self, item: Any, place: int, by: int) -> Any:
        if isinstance(item, Described | Engaged):
            return item._replace(ad=item.ad - place * ADS) if item.ad // ADS == place else item
        return shifted(item, lambda user: user.removeprefix(f"{place}."), -by, -place * ADS)

    def place_of(self, item: Any, places: int) -> int:
        if isinstance(item, Described | Engaged):
            return item.ad // ADS if 0 <= item.ad // ADS < places else places - 1
        return SESSIONS.place_of(item, places)

    def expect(self, case: Case) -> Case:
        return expected(case, EngagementsOracle(case.setting("attribution")))


class EngagementsOracle:
    """Keeps all sessions and advertisements that stand, and recomputes everything from them."""

    def __init__(self, attribution: str) -> None:
        self.late: list[Any] = []
        self._attribution = attribution
        self._sessions: dict[tuple[str, int, int], tuple[Action, ...]] = {}
        self._advertisements: dict[int, tuple[str, str]] = {}

    def arrive(self, batch: list[Any], before: int) -> None:
        for event in batch:
            if isinstance(event, Change):
                self._sessions[event.key] = event.actions or ()
            else:
                describe(self._advertisements, event)

    def standing(self, watermark: int) -> Standing:
        table = engagements(self._sessions.values(), self._advertisements, self._attribution)
        return {ad: Engaged(ad, *row) for ad, row in table.items()}


def parse_described(text: str) -> Described:
    """Reads `ad1 Gerbils/Pets` or `ad1 null`.

    Raises:
        ValueError: It is not an advertisement.
    """
    match = _DESCRIBED.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not an advertisement: write it as 'ad1 Gerbils/Pets' or 'ad1 null'")
    return Described(int(match[1]), match[2], match[3])


def show_described(event: Described) -> str:
    """The text that `parse_described` reads back."""
    return f"ad{event.ad} null" if event.name is None else f"ad{event.ad} {event.name}/{event.type}"


def describe(advertisements: dict[int, tuple[str, str]], event: Described) -> None:
    """Takes over what is known of an advertisement now."""
    if event.name is None or event.type is None:
        advertisements.pop(event.ad, None)
    else:
        advertisements[event.ad] = (event.name, event.type)


def session_record(session: Change) -> tuple[str, bytes]:
    """A session as a line of `ad-sessions`."""
    key = {"window": {"start": session.start, "end": session.end}, "userId": session.user}
    actions = session.actions and [
        {"eventTime": time, "advertisementId": ad, "action": ACTIONS[action]} for time, action, ad in session.actions
    ]
    return "ad-sessions", _line(key, actions and {"actions": actions})


def described_record(event: Described) -> tuple[str, bytes]:
    """An advertisement as a line of `advertisements`."""
    return "advertisements", _line(event.ad, None if event.name is None else {"name": event.name, "type": event.type})


def _line(key: Any, value: Any) -> bytes:
    return json.dumps({"key": key, "value": value}, ensure_ascii=False).encode()


def _ads(event: Any) -> list[int]:
    """The advertisements that an event is about."""
    return [ad for _, _, ad in event.actions or ()] if isinstance(event, Change) else [event.ad]


ENGAGEMENTS = EngagementsJob()
