"""Made-up traffic: who saw and clicked what and when, and when the news of it arrived.

People come in visits: a visit starts at a time of the daily cycle, then one advertisement follows the
other every `VIEW_EVERY` on average; a click follows its view `CLICK_AFTER` later. Bots never pause and click
ten times as readily. Everything is drawn for one slice of time at once, so memory follows a slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from common.datasets.settings import GeneratorSettings

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAY = 86_400_000
VIEWS_PER_VISIT = 6
VIEW_EVERY = 40_000
CLICK_AFTER = 8_000
BOT_VIEW_EVERY = 3_000
VIEWS_PER_BOT = 1_000
BOT_EAGERNESS = 10
PEAK = 20 / 24
"""When on a day (UTC) traffic is highest."""
FAR_FUTURE = 32_503_680_000_000
"""The year 3000: further ahead of any clock than a job allows."""
SLICE_EVENTS = 500_000


class Damage(IntEnum):
    """What is wrong with a record."""

    NONE = 0
    EMPTY_USER = 1
    NEGATIVE_TIME = 2
    FAR_FUTURE = 3
    NO_USER = 4
    """A null key, where a format can hold one."""
    TORN = 5
    """Text that ends too early, in formats of text."""


@dataclass(frozen=True)
class Events:
    """Columns of one length, one row a record.

    Attributes:
        user: A number from 0; from `users` on, a bot.
        advertisement: A number from 0.
        time: When it happened, in epoch ms.
        arrival: When it arrives, in epoch ms.
        click: Whether it is a click; else a view.
        late: Whether it was held up for longer than the disorder.
        again: Whether it is a redelivery.
        damage: What is wrong with it: `Damage`.
    """

    user: Ints
    advertisement: Ints
    time: Ints
    arrival: Ints
    click: Bools
    late: Bools
    again: Bools
    damage: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Ints | Bools) -> Events:
        """The rows of these places, or where this is true."""
        return Events(*(getattr(self, field.name)[rows] for field in fields(Events)))

    @staticmethod
    def concat(parts: Sequence[Events]) -> Events:
        """The rows of all parts, in order; of at least one."""
        return Events(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events)))


@dataclass(frozen=True)
class Traffic:
    """The traffic of some settings; the same settings give the same traffic.

    Attributes:
        settings: What is made.
        damages: What can be wrong with a malformed record.
    """

    settings: GeneratorSettings
    damages: tuple[Damage, ...]

    def files(self) -> Iterator[Iterator[Events]]:
        """What each file holds, in the order of arrival; each file must be read to its end before the next."""
        slices = self._slices()
        for _ in range(self.settings.files):
            yield (next(slices) for _ in range(self.slices_per_file))

    @property
    def slices_per_file(self) -> int:
        """Into how many slices of time a file is cut, so that a slice has about `SLICE_EVENTS`."""
        return max(1, round(self.settings.events / self.settings.files / SLICE_EVENTS))

    @property
    def bots(self) -> int:
        """How many bots there are."""
        shown = self.settings.events / (1 + self.settings.click_through)
        return max(1, round(shown * self.settings.bots / VIEWS_PER_BOT)) if self.settings.bots else 0

    def _slices(self) -> Iterator[Events]:
        """What arrives in each slice, sorted by arrival; what is still on its way comes with a later one."""
        count = self.settings.files * self.slices_per_file
        coming: dict[int, list[Events]] = defaultdict(list)
        for i in range(count):
            start, end = self._share_until(self._edges(np.array([i, i + 1])))
            events = round(end * self.settings.events) - round(start * self.settings.events)
            random = np.random.default_rng([self.settings.seed, i])
            sent = self._disturbed(self._sent(random, events, start, end), random)
            for place, part in self._by_slice(sent):
                coming[min(place, count - 1)].append(part)
            arrived = Events.concat([self._none, *coming.pop(i, ())])
            yield arrived.take(np.argsort(arrived.arrival, kind="stable"))

    def _edges(self, places: Ints) -> Floats:
        """When slices begin."""
        count = self.settings.files * self.slices_per_file
        return self.settings.start + places * np.float64(self.settings.span / count)

    def _by_slice(self, events: Events) -> Iterator[tuple[int, Events]]:
        """Events by the slice in which they arrive; copies, as some of them wait for long."""
        count = self.settings.files * self.slices_per_file
        events = events.take(np.argsort(events.arrival, kind="stable"))
        place = ((events.arrival - self.settings.start) * (count / self.settings.span)).astype(np.int64)
        place += events.arrival >= self._edges(place + 1)
        place -= events.arrival < self._edges(place)
        cuts = [0, *(np.flatnonzero(np.diff(place)) + 1).tolist(), len(place)]
        for begin, stop in pairwise(cuts):
            if stop > begin:
                yield int(place[begin]), events.take(np.arange(begin, stop))

    @cached_property
    def _none(self) -> Events:
        return self._sent(np.random.default_rng(0), 0, 0.0, 0.0)

    @cached_property
    def _cycle(self) -> tuple[Floats, Floats]:
        """Moments, ten minutes apart, and the share of all traffic until each."""
        settings = self.settings
        moments = np.linspace(settings.start, settings.start + settings.span, 2 + settings.span // 600_000)
        rate = 1 + settings.swing * np.cos(2 * np.pi * (moments / DAY - PEAK))
        grown = np.concatenate([[0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
        return moments, grown / grown[-1]

    def _share_until(self, moments: Floats) -> Floats:
        share: Floats = np.interp(moments, *self._cycle)
        return share

    @cached_property
    def _popularity(self) -> Floats:
        """The share of all views that the first n advertisements have: Zipf's law."""
        weight = 1 / np.arange(1, self.settings.advertisements + 1) ** self.settings.zipf
        share: Floats = np.cumsum(weight) / weight.sum()
        return share

    def _sent(self, random: np.random.Generator, events: int, start: float, end: float) -> Events:
        """Events of visits that start between two shares of the cycle; they arrive at once."""
        clicks = round(events * self.settings.click_through / (1 + self.settings.click_through))
        views = events - clicks
        by_bots = round(views * self.settings.bots)
        human_user, human_time = self._people(random, views - by_bots, start, end)
        bot_user, bot_time = self._bots(random, by_bots, start, end)
        user, time = np.concatenate([human_user, bot_user]), np.concatenate([human_time, bot_time])
        advertisement = np.searchsorted(self._popularity, random.random(views), side="right")

        reluctance = random.random(views)
        reluctance[views - by_bots :] /= BOT_EAGERNESS
        clicked = np.argsort(reluctance, kind="stable")[:clicks]
        after = 1 + random.exponential(CLICK_AFTER, clicks).astype(np.int64)
        time = np.concatenate([time, time[clicked] + after])
        return Events(
            user=np.concatenate([user, user[clicked]]),
            advertisement=np.concatenate([advertisement, advertisement[clicked]]),
            time=time,
            arrival=time,
            click=np.arange(events) >= views,
            late=np.zeros(events, dtype=np.bool_),
            again=np.zeros(events, dtype=np.bool_),
            damage=np.zeros(events, dtype=np.int8),
        )

    def _starts(self, random: np.random.Generator, count: int, start: float, end: float) -> Ints:
        moments, share = self._cycle
        return np.interp(random.uniform(start, end, count), share, moments).astype(np.int64)

    def _people(self, random: np.random.Generator, views: int, start: float, end: float) -> tuple[Ints, Ints]:
        visits = max(1, views // VIEWS_PER_VISIT)
        visit = np.sort(random.integers(0, visits, views))
        user = random.integers(0, self.settings.users, visits)
        return user[visit], _paced(
            self._starts(random, visits, start, end), visit, random.exponential(VIEW_EVERY, views)
        )

    def _bots(self, random: np.random.Generator, views: int, start: float, end: float) -> tuple[Ints, Ints]:
        runs = max(1, views // VIEWS_PER_BOT)
        run = np.sort(random.integers(0, runs, views))
        user = self.settings.users + random.integers(0, max(1, self.bots), runs)
        pauses = random.uniform(BOT_VIEW_EVERY / 2, BOT_VIEW_EVERY * 3 / 2, views)
        return user[run], _paced(self._starts(random, runs, start, end), run, pauses)

    def _disturbed(self, events: Events, random: np.random.Generator) -> Events:
        """The events out of order, some late, some twice, and malformed ones among them."""
        settings = self.settings
        delay = random.integers(0, settings.disorder + 1, len(events))
        late = _chosen(random, len(events), settings.late)
        delay[late] = random.integers(settings.disorder + 1, settings.late_by + 1, int(late.sum()))
        events = replace(events, arrival=events.time + delay, late=late)
        again = events.take(_chosen(random, len(events), settings.duplicates))
        wait = random.integers(1, settings.redelivery_within + 1, len(again))
        again = replace(again, arrival=again.arrival + wait, again=np.ones(len(again), dtype=np.bool_))
        malformed = events.take(_chosen(random, len(events), settings.malformed))
        return Events.concat([events, again, self._malformed(malformed, random)])

    def _malformed(self, events: Events, random: np.random.Generator) -> Events:
        damage = random.choice(np.array(self.damages, dtype=np.int8), len(events))
        time = np.where(damage == Damage.NEGATIVE_TIME, -1 - events.time, events.time)
        time = np.where(damage == Damage.FAR_FUTURE, FAR_FUTURE, time)
        return replace(events, time=time, late=np.zeros(len(events), dtype=np.bool_), damage=damage)


def _paced(starts: Ints, run: Ints, pauses: Floats) -> Ints:
    """Times of events that belong to runs, the first at its run's start.

    Args:
        starts: When each run starts, in ms.
        run: The run of each event, sorted.
        pauses: How long before each event nothing happened, in ms.
    """
    if len(run) == 0:
        return np.zeros(0, dtype=np.int64)
    passed = np.cumsum(pauses)
    first = np.searchsorted(run, run)
    return starts[run] + (passed - passed[first]).astype(np.int64)


def _chosen(random: np.random.Generator, count: int, share: float) -> Bools:
    """Which of `count` rows are in a share of them, exact but for rounding."""
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[random.permutation(count)[: round(count * share)]] = True
    return chosen
