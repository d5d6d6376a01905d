"""What must come of arrivals, by an oracle and the clock: random runs get their expectations here."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from common.operators.step import BEGINNING, END
from tests.conformance.case import BETWEEN_STEPS, Case, Step
from tests.conformance.job import Change

Standing = Mapping[Hashable, Change]
"""The changes that stand, by key."""


class Oracle(Protocol):
    """Keeps everything that arrives, and computes from all of it what stands."""

    @property
    def late(self) -> list[Any]:
        """The events that came too late, in their order."""
        ...

    def arrive(self, batch: list[Any], before: int) -> None:
        """A batch arrives while the watermark is `before`."""
        ...

    def standing(self, watermark: int) -> Standing:
        """What stands at a watermark, without what only ticks brought about."""
        ...


def expected(case: Case, oracle: Oracle) -> Case:
    """The case with the expectations that an oracle gives; dead letters stay as they are."""
    clock = PlainClock(case)
    before: Standing = {}
    steps = []
    for step in case.steps:
        already_late = len(oracle.late)
        oracle.arrive(list(case.arrivals(step)), clock.watermark)
        clock.observe(step)
        after = oracle.standing(clock.watermark)
        late = tuple(oracle.late[already_late:])
        steps.append(replace(step, watermark=clock.watermark, out=_difference(before, after), late=late))
        before = after
    end = None if case.end is None else _difference(before, oracle.standing(END))
    return replace(case, steps=tuple(steps), end=end)


class PlainClock:
    """SEMANTICS.md's watermark, written a second time, so that the suite's clock has something to differ from."""

    def __init__(self, case: Case) -> None:
        self.watermark = BEGINNING
        self._case = case
        self._behind = case.setting("out_of_orderness") + 1
        self._idle_after = case.setting("idle_after")
        self._times: dict[str, list[int]] = {stream: [] for stream in case.job.timed}
        self._silent: dict[str, int] = {}

    def observe(self, step: Step) -> None:
        """Moves on by what arrived."""
        arrived = [(self._case.job.record(event)[0], event) for event in self._case.arrivals(step)]
        for stream in self._times:
            times = [event.time for arrived_on, event in arrived if arrived_on == stream]
            self._times[stream] += times
            first = stream not in self._silent
            self._silent[stream] = 0 if times or first else self._silent[stream] + BETWEEN_STEPS
        idle = {stream for stream in self._times if self._idle_after and self._silent[stream] >= self._idle_after}
        live = [times for stream, times in self._times.items() if stream not in idle]
        if live and all(live):
            self.watermark = max(self.watermark, min(map(max, live)) - self._behind)


def _difference(before: Standing, after: Standing) -> tuple[Change, ...]:
    """The tombstones and upserts that lead from what stood to what stands."""
    gone = [before[key].tombstone() for key in before.keys() - after.keys()]
    return (*gone, *(change for key, change in after.items() if before.get(key) != change))
