"""What must come of arrivals, by the oracle and the clock: random runs get their expectations here."""

from __future__ import annotations

from dataclasses import replace

from common.operators.step import BEGINNING, END
from tests.conformance.case import BETWEEN_STEPS, CLOCK, STREAMS, Case, Step
from tests.conformance.notation import Change
from tests.conformance.oracle import Oracle, Table


def expect(case: Case) -> Case:
    """The case with the expectations that the oracle gives; dead letters stay as they are."""
    oracle = Oracle(case.setting("gap"), case.setting("grace"), case.setting("dedupe"))
    clock = PlainClock(case.setting("out_of_orderness"), case.setting("idle_after"))
    before: Table = {}
    steps = []
    for step in case.steps:
        already_late = len(oracle.late)
        oracle.arrive(list(step.arrivals), clock.watermark)
        clock.observe(step)
        after = oracle.table(clock.watermark)
        late = tuple(oracle.late[already_late:])
        steps.append(replace(step, watermark=clock.watermark, out=_difference(before, after), late=late))
        before = after
    end = None if case.end is None else _difference(before, oracle.table(END))
    return replace(case, steps=tuple(steps), end=end)


class PlainClock:
    """SEMANTICS.md's watermark, written a second time, so that the suite's clock has something to differ from.

    Args:
        out_of_orderness: How far it stays behind the latest event, in ms.
        idle_after: After how long without an event a stream is left out, in ms; 0 for never.
    """

    def __init__(self, out_of_orderness: int, idle_after: int) -> None:
        self.watermark = BEGINNING
        self._behind = out_of_orderness + 1
        self._idle_after = idle_after
        self._times: dict[str, list[int]] = {stream: [] for stream in STREAMS}
        self._silent: dict[str, int] = {}

    def observe(self, step: Step) -> None:
        """Moves on by what arrived."""
        for action, stream in enumerate(STREAMS):
            times = [event.time for event in step.arrivals if event.action == action]
            self._times[stream] += times
            first = stream not in self._silent
            self._silent[stream] = 0 if times or first else self._silent[stream] + BETWEEN_STEPS
        idle = {stream for stream in STREAMS if self._idle_after and self._silent[stream] >= self._idle_after}
        live = [self._times[stream] for stream in STREAMS if stream not in idle]
        if live and all(live):
            self.watermark = max(self.watermark, min(map(max, live)) - self._behind)


def _difference(before: Table, after: Table) -> tuple[Change, ...]:
    """The tombstones and upserts that lead from one table to another; the clock's left out."""
    gone = [Change(*key, None) for key in before.keys() - after.keys()]
    new = [Change(*key, tuple(actions)) for key, actions in after.items() if before.get(key) != actions]
    return tuple(change for change in (*gone, *new) if change.user != CLOCK)
