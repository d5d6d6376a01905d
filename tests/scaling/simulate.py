"""A job under a policy for a day: what waits, what is done, and what each change costs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from common.scaling.policy import Decision, Limits, Reading, State, decide

EVERY = 15_000
"""How often the job is looked at, in ms."""
RESTART = 45_000
"""How long a job does nothing when it goes on with another number of tasks, in ms."""
HOUR = 3_600_000


@dataclass(frozen=True)
class Moment:
    """What is true at a reading."""

    at: int
    load: float
    parallelism: int
    lag: int


@dataclass(frozen=True)
class Day:
    """A simulated day."""

    moments: tuple[Moment, ...]
    changes: tuple[Decision, ...]

    @property
    def flaps(self) -> int:
        """How often a change was taken back within half an hour."""
        pairs = zip(self.changes, self.changes[1:], strict=False)
        return sum(
            b.at - a.at < HOUR // 2 and (a.target > a.parallelism) != (b.target > b.parallelism) for a, b in pairs
        )

    @property
    def task_hours(self) -> float:
        return sum(moment.parallelism for moment in self.moments) * EVERY / HOUR

    @property
    def needed_hours(self) -> float:
        """What the events take at the least."""
        return sum(moment.load for moment in self.moments) * EVERY / HOUR

    @property
    def most_lag(self) -> int:
        return max(moment.lag for moment in self.moments)

    def behind(self, lag: int) -> float:
        """The share of the day in which the next record had waited for longer, in ms."""
        return sum(moment.lag > lag for moment in self.moments) / len(self.moments)


def simulate(limits: Limits, loads: list[float]) -> Day:
    """Lets a job take a day's events, oldest first.

    Args:
        limits: The policy.
        loads: What comes in each minute, as a multiple of what one task does in it.
    """
    waiting: deque[list[float]] = deque()  # (arrived at, how much)
    state, parallelism, resting = State(), limits.minimum, 0
    moments, changes = [], []
    for at in range(0, len(loads) * 60_000, EVERY):
        load = loads[at // 60_000]
        waiting.append([at, load * EVERY])
        able = parallelism * max(0, EVERY - resting)
        resting = max(0, resting - EVERY)
        left = able
        while waiting and left > 0:
            done = min(left, waiting[0][1])
            waiting[0][1] -= done
            left -= done
            if waiting[0][1] <= 1e-9:
                waiting.popleft()
        lag = at - int(waiting[0][0]) + EVERY if waiting else 0
        busy = 1.0 if able == 0 else (able - left) / able
        state, decision = decide(limits, state, Reading(at, parallelism, lag, 0, busy))
        moments.append(Moment(at, load, parallelism, lag))
        if decision.changes:
            changes.append(decision)
            parallelism, resting = decision.target, RESTART
    return Day(tuple(moments), tuple(changes))
