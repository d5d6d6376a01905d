"""The eventification job in the kit: three tables in, advertisements with their campaigns and customers out.

k3 Josh/DE                       the customer 3 is named Josh, of Germany; `k3 null`: the row was deleted
c2 Spring of k3                  the campaign 2 is named Spring, and of the customer 3; `c2 Spring of -`: of none
ad1 Gerbils/Pets of c2           the advertisement 1 is named Gerbils, of the type Pets, and of the campaign 2
ad1 Gerbils/Pets c2:Spring k3:Josh/DE    it comes out; `-` stands for a side that is not known
ad1 null                         it comes out as a tombstone
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.conformance.case import Case
from tests.conformance.expected import Standing, expected
from tests.conformance.job import SETTINGS
from tests.conformance.packs import FAR

IDS = 1_000
"""How far apart the ids are that cases of a pack have; a case has smaller ones, or can't be moved."""
STREAMS = {"ad": "advertisement-rows", "c": "campaign-rows", "k": "customer-rows"}
FIELDS = {"ad": ("name", "type"), "c": ("name",), "k": ("name", "country")}
REFERENCES = {"ad": ("campaignId", "c"), "c": ("customerId", "k")}

_ROW = re.compile(r"(ad|c|k)(-?\d+) (?:null|([^ /]+)(?:/([^ /]+))?(?: of (?:-|(c|k)(-?\d+)))?)")
_PROMOTED = re.compile(r"ad(-?\d+) (?:null|([^ /]+)/([^ /]+) (?:-|c(-?\d+):([^ ]+)) (?:-|k(-?\d+):([^ /]+)/([^ ]+)))")


class Row(NamedTuple):
    """A record of one of the tables; `told` is None in a tombstone."""

    table: str
    id: int
    told: tuple[str, ...] | None
    reference: int | None = None


class Known(NamedTuple):
    """A campaign or a customer, as it comes out."""

    id: int
    told: tuple[str, ...]


class Promoted(NamedTuple):
    """A record of `promotions`; `told` is None in a tombstone."""

    ad: int
    told: tuple[str, ...] | None
    campaign: Known | None = None
    customer: Known | None = None

    @property
    def stream(self) -> str:
        """The stream of promotions."""
        return "promotions"

    @property
    def key(self) -> int:
        """The advertisement."""
        return self.ad

    @property
    def gone(self) -> bool:
        """Whether the advertisement was deleted."""
        return self.told is None

    def tombstone(self) -> Promoted:
        """The tombstone of its key."""
        return Promoted(self.ad, None)


@dataclass(frozen=True)
class EventificationJob:
    """What the kit knows of `eventification`."""

    name: str = "eventification"
    groups: tuple[str, ...] = ("references", "rules")
    sources: tuple[str, ...] = tuple(STREAMS.values())
    outputs: tuple[str, ...] = ("promotions",)
    timed: tuple[str, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        return MappingProxyType({**SETTINGS, "join": "left"})

    def parse_event(self, text: str) -> Row:
        match = _ROW.fullmatch(text)
        told = tuple(part for part in match.group(3, 4) if part is not None) or None if match else None
        if match is None or not _fits(match[1], told, match[5]):
            raise ValueError(f"'{text}' is not a row: write it as 'ad1 Gerbils/Pets of c2' or 'ad1 null'")
        return Row(match[1], int(match[2]), told, None if match[6] is None else int(match[6]))

    def show_event(self, event: Row) -> str:
        if event.told is None:
            return f"{event.table}{event.id} null"
        shown = f"{event.table}{event.id} {'/'.join(event.told)}"
        if event.table not in REFERENCES:
            return shown
        return f"{shown} of {'-' if event.reference is None else f'{REFERENCES[event.table][1]}{event.reference}'}"

    def parse_change(self, text: str) -> Promoted:
        match = _PROMOTED.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is not a promotion: write it as 'ad1 Gerbils/Pets c2:Spring -' or 'ad1 null'")
        ad, name, type_, campaign, campaign_name, customer, customer_name, country = match.groups()
        return Promoted(
            int(ad),
            None if name is None else (name, type_),
            None if campaign is None else Known(int(campaign), (campaign_name,)),
            None if customer is None else Known(int(customer), (customer_name, country)),
        )

    def show_change(self, change: Promoted) -> str:
        if change.told is None:
            return f"ad{change.ad} null"
        sides = (
            "-" if known is None else f"{letter}{known.id}:{'/'.join(known.told)}"
            for letter, known in (("c", change.campaign), ("k", change.customer))
        )
        return f"ad{change.ad} {'/'.join(change.told)} {' '.join(sides)}"

    def record(self, event: Row) -> tuple[str, bytes]:
        value: dict[str, Any] | None = None
        if event.told is not None:
            value = dict(zip(FIELDS[event.table], event.told, strict=True))
            value |= {REFERENCES[event.table][0]: event.reference} if event.table in REFERENCES else {"creditLimit": 1}
        return STREAMS[event.table], json.dumps({"key": event.id, "value": value}).encode()

    def ticks(self, time: int) -> tuple[Any, ...]:
        """Nothing here has a time."""
        return ()

    def read(self, stream: str, record: dict[str, Any]) -> Promoted | None:
        value = record["value"]
        if value is None:
            return Promoted(record["key"], None)
        campaign, customer = value["campaign"], value["customer"]
        return Promoted(
            record["key"],
            (value["name"], value["type"]),
            campaign and Known(campaign["id"], (campaign["name"],)),
            customer and Known(customer["id"], (customer["name"], customer["country"])),
        )

    def read_late(self, record: dict[str, Any]) -> Any:
        raise AssertionError(f"nothing can be late here, but this is: {record}")

    def reach(self, case: Case) -> int:
        ids = [number for step in case.steps for event in step.events for number in (event.id, event.reference or 0)]
        return 0 if all(0 <= number < IDS for number in ids) else FAR

    def moved(self, item: Any, place: int, by: int) -> Any:
        return _shifted(item, place * IDS)

    def back(self, item: Any, place: int, by: int) -> Any:
        return _shifted(item, -place * IDS) if item[0 if isinstance(item, Promoted) else 1] // IDS == place else item

    def place_of(self, item: Any, places: int) -> int:
        place = item[0 if isinstance(item, Promoted) else 1] // IDS
        return int(place) if 0 <= place < places else places - 1

    def expect(self, case: Case) -> Case:
        return expected(case, EventificationOracle(case.setting("join")))


class EventificationOracle:
    """Keeps all rows that stand, and looks up every reference anew."""

    def __init__(self, how: str) -> None:
        self.late: list[Any] = []
        self._inner = how == "inner"
        self._rows: dict[str, dict[int, Row]] = {table: {} for table in STREAMS}

    def arrive(self, batch: list[Any], before: int) -> None:
        for row in batch:
            self._rows[row.table][row.id] = row

    def standing(self, watermark: int) -> Standing:
        promoted = (self._promoted(row) for row in self._rows["ad"].values() if row.told is not None)
        return {
            each.ad: each
            for each in promoted
            if not self._inner or (each.campaign is not None and each.customer is not None)
        }

    def _promoted(self, row: Row) -> Promoted:
        campaign = self._known("c", row.reference)
        customer = self._known("k", campaign.reference if campaign else None)
        return Promoted(row.id, row.told, *(row and Known(row.id, row.told or ()) for row in (campaign, customer)))

    def _known(self, table: str, reference: int | None) -> Row | None:
        row = self._rows[table].get(reference) if reference is not None else None
        return row if row is not None and row.told is not None else None


def _fits(table: str, told: tuple[str, ...] | None, refers_to: str | None) -> bool:
    """Whether a row tells what rows of its table tell, and refers to what they refer to."""
    right = REFERENCES[table][1] if table in REFERENCES else None
    return (told is None or len(told) == len(FIELDS[table])) and refers_to in (None, right)


def _shifted(item: Any, by: int) -> Any:
    """A row or promotion with other ids."""
    if isinstance(item, Row):
        return item._replace(id=item.id + by, reference=None if item.reference is None else item.reference + by)
    sides = (None if known is None else known._replace(id=known.id + by) for known in (item.campaign, item.customer))
    return Promoted(item.ad + by, item.told, *sides)


EVENTIFICATION = EventificationJob()
