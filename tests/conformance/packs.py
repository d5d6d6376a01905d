"""Many cases in one run: starting a run costs an engine more than the few steps of a case do.

Cases of one job with the same settings follow one another in one input, each later in time by more than any of
them can reach back, with names of its own. Between two cases stands a step in which only the clock ticks: to the
case before it is the end of the input, to the case after it the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from common.operators.step import BEGINNING
from tests.conformance.case import Case, Step
from tests.conformance.folder import file_name
from tests.conformance.job import Job
from tests.conformance.outcome import Dead, Late, Outcome

FAR = 100_000
"""How far apart in time the cases of a pack are, in ms."""
REACH = FAR // 8
"""How far a case that can be packed may reach, in ms."""


@dataclass(frozen=True)
class Pack:
    """Cases that share a run.

    Attributes:
        cases: The cases, all with the same settings, in the order of their times.
    """

    cases: tuple[Case, ...]

    @property
    def name(self) -> str:
        """A name that can be a folder's."""
        return self.cases[0].id if len(self.cases) == 1 else f"pack-of-{len(self.cases)}-{self.cases[0].id}"

    def whole(self) -> Case:
        """The pack as one case."""
        steps: list[Step] = []
        for place, case in enumerate(self.cases):
            if place:
                end = self._moved(self.cases[place - 1].end or (), place - 1)
                steps.append(Step((), self._beginning(place), tick=_tick(place), out=end))
            steps += [self._step(place, step) for step in case.steps]
        last = self.cases[-1]
        end = None if last.end is None else self._moved(last.end, len(self.cases) - 1)
        return replace(self.cases[0], id=self.name, note="cases in one run", steps=tuple(steps), end=end)

    def streamed(self, place: int, whole: Outcome) -> Outcome:
        """What came out for one of the cases step by step, as if it had been played alone."""
        steps = self._steps_of(place)
        if place == len(self.cases) - 1:
            steps = range(steps[0], max([steps[-1], *whole.steps]) + 1)  # what is beyond the last step is its own
        return replace(
            whole,
            changes={n - steps[0]: self._back(whole.changes.get(n, ()), place) for n in steps},
            late={n - steps[0]: [self._late_back(each, place) for each in whole.late.get(n, ())] for n in steps},
            dead={n - steps[0]: [_dead_back(each, steps[0]) for each in whole.dead.get(n, ())] for n in steps},
        )

    def bounded(self, place: int, whole: Outcome) -> Outcome:
        """What came out for one of the cases when all are read at once."""
        changes, late, dead = whole.at(0)
        steps = self._steps_of(place)
        mine = [each for each in dead if _step_of(each) in steps]
        return replace(
            whole,
            changes={0: self._back([each for each in changes if self._is_of(each, place)], place)},
            late={0: [self._late_back(each, place) for each in late if self._is_of(each.event, place)]},
            dead={0: [_dead_back(each, steps[0]) for each in mine]},
        )

    def _moved(self, items: Iterable[Any], place: int) -> tuple[Any, ...]:
        """Events or changes of a case, as they are in the pack."""
        return tuple(self._job.moved(item, place, place * FAR) for item in items)

    def _back(self, items: Iterable[Any], place: int) -> list[Any]:
        """Events or changes of the pack, as they are in a case."""
        return [self._job.back(item, place, place * FAR) for item in items]

    def _is_of(self, item: Any, place: int) -> bool:
        return self._job.place_of(item, len(self.cases)) == place

    @property
    def _job(self) -> Job:
        return self.cases[0].job

    def _steps_of(self, place: int) -> range:
        """The steps of a case, and the one that is its end."""
        first = sum(len(case.steps) + 1 for case in self.cases[:place])
        return range(first, first + len(self.cases[place].steps) + 1)

    def _beginning(self, place: int) -> int:
        """The watermark before the first step of a case."""
        if place and self._job.timed:
            return _tick(place) - self.cases[0].setting("out_of_orderness") - 1
        return BEGINNING

    def _step(self, place: int, step: Step) -> Step:
        watermark = step.watermark + place * FAR if step.watermark > BEGINNING else self._beginning(place)
        return replace(
            step,
            events=self._moved(step.events, place),
            watermark=watermark,
            tick=None if step.tick is None else step.tick + place * FAR,
            out=self._moved(step.out, place),
            late=self._moved(step.late, place),
        )

    def _late_back(self, late: Late, place: int) -> Late:
        (event,) = self._back([late.event], place)
        at_beginning = late.watermark == self._beginning(place)
        return Late(event, BEGINNING if at_beginning else late.watermark - place * FAR)


def packed(cases: Iterable[Case]) -> list[Pack]:
    """Packs of the cases that can be packed, and the others each on its own."""
    together: dict[str, list[Case]] = {}
    for case in cases:
        key = f"{case.job.name} {sorted(case.settings.items())}" if _can_be_packed(case) else case.id
        together.setdefault(key, []).append(case)
    return [Pack(tuple(same)) for same in together.values()]


def _can_be_packed(case: Case) -> bool:
    """Whether it has an end, and begins and ends near time 0. Without any event, it is about an empty input."""
    arrives = any(case.arrivals(step) for step in case.steps)
    return case.end is not None and arrives and case.job.reach(case) < REACH


def _tick(place: int) -> int:
    """When the clock ticks before a case: long after the case before, long before its own time 0."""
    return place * FAR - FAR // 2


def _dead_back(dead: Dead, first: int) -> Dead:
    return dead._replace(partition=file_name(_step_of(dead) - first))


def _step_of(dead: Dead) -> int:
    """The step whose file a dead letter names."""
    return int(dead.partition.partition(".")[0])
