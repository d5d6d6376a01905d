"""When a job gets more tasks, and when fewer: a pure function of what was seen, so that it can be simulated.

More tasks once the job was behind for long; fewer only once it has long kept up and would with fewer, too. Whether it
would is told by how busy its tasks are, so what made it grow does not make it shrink again: that is the hysteresis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.config.job import format_duration
from common.errors import AdstreamError

SECOND, MINUTE = 1_000, 60_000


@dataclass(frozen=True)
class Limits:
    """What a policy keeps to. Times are in ms.

    Attributes:
        minimum: The fewest tasks.
        maximum: The most tasks.
        step: How many tasks come or go at once, at most.
        lag: A job is behind when its next record has waited for longer,
        delay: or its watermark is further behind the clock; 0 for however far.
        up_after: How long it must be behind, in every reading, without being about to catch up in as long again.
        down_after: How long it must have kept up, in every reading, with less to do than `busy` allows.
        busy: The share of its time that a job may be busy with the fewer tasks that it would have.
        cool_down: How long nothing changes after a change.
        gap: After so long without a reading, nothing is known of the time before; nor is it where the clock was put back.
    """

    minimum: int = 1
    maximum: int = 8
    step: int = 2
    lag: int = 30 * SECOND
    delay: int = 0
    up_after: int = 2 * MINUTE
    down_after: int = 15 * MINUTE
    busy: float = 0.6
    cool_down: int = 3 * MINUTE
    gap: int = 5 * MINUTE

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise AdstreamError(f"minimum {self.minimum}, maximum {self.maximum}", "give 1 <= minimum <= maximum")
        if self.step < 1:
            raise AdstreamError(f"step is {self.step}", "give at least 1")
        if not 0 < self.busy < 1:
            raise AdstreamError(f"busy is {self.busy}", "give a share between 0 and 1, such as 0.6")


@dataclass(frozen=True)
class Reading:
    """What is seen of a job at a moment.

    Attributes:
        at: The moment, in epoch ms.
        parallelism: How many tasks it has.
        lag: How long its next record has waited, in ms; 0 if none waits.
        delay: How far its watermark is behind the clock, in ms; 0 before it has one.
        busy: The share of the time since the reading before in which a step was being taken.
    """

    at: int
    parallelism: int
    lag: int
    delay: int
    busy: float


@dataclass(frozen=True)
class State:
    """What a policy remembers. Moments are in epoch ms; None for never.

    Attributes:
        read: The last reading,
        lag: and the lag that it found, in ms.
        behind: Since when every reading found the job behind.
        quiet: Since when every reading found that fewer tasks would do.
        changed: When the number of tasks was changed last.
    """

    read: int | None = None
    lag: int = 0
    behind: int | None = None
    quiet: int | None = None
    changed: int | None = None


@dataclass(frozen=True)
class Decision:
    """How many tasks a job should have now, and why."""

    at: int
    parallelism: int
    target: int
    reason: str

    @property
    def changes(self) -> bool:
        """Whether that is another number than it has."""
        return self.target != self.parallelism


def decide(limits: Limits, state: State, reading: Reading) -> tuple[State, Decision]:
    """What follows from a reading.

    Args:
        limits: The policy.
        state: What is remembered of the readings before; `State()` before the first.
        reading: The reading; later than those before.

    Returns:
        What is to be remembered, and the decision, which is taken to be carried out.
    """
    if state.read is None or not 0 <= reading.at - state.read <= limits.gap:
        # No change can have been later than now: the clock was put back.
        state = State(changed=None if state.changed is None else min(state.changed, reading.at))
    behind, why_behind = _behind(limits, reading)
    fewer = max(limits.minimum, reading.parallelism - limits.step)
    would_be = reading.busy * reading.parallelism / fewer
    quiet = not behind and would_be <= limits.busy
    caught_up = _caught_up(state, reading)
    state = replace(
        state,
        read=reading.at,
        lag=reading.lag,
        behind=_since(state.behind, reading.at) if behind else None,
        quiet=_since(state.quiet, reading.at) if quiet else None,
    )
    target, reason = _target(limits, state, reading, fewer, why_behind, would_be, caught_up)
    if target != reading.parallelism:
        state = State(read=reading.at, lag=reading.lag, changed=reading.at)
    return state, Decision(reading.at, reading.parallelism, target, reason)


def _target(
    limits: Limits,
    state: State,
    reading: Reading,
    fewer: int,
    why_behind: str,
    would_be: float,
    caught_up: int | None,
) -> tuple[int, str]:
    at, now = reading.at, reading.parallelism
    if not limits.minimum <= now <= limits.maximum:
        return min(max(now, limits.minimum), limits.maximum), "it is outside the bounds"
    cooling = 0 if state.changed is None else state.changed + limits.cool_down - at
    if state.behind is not None:
        lasted = at - state.behind
        why = f"{why_behind} for {_shown(lasted)}"
        if lasted < limits.up_after:
            return now, f"{why}, of {format_duration(limits.up_after)}"
        if caught_up is not None and caught_up <= limits.up_after:
            return now, f"{why}, but it catches up in {_shown(caught_up)}"
        if now == limits.maximum:
            return now, f"{why}, but {now} is the maximum"
        return (now, _cooling(why, cooling)) if cooling > 0 else (min(limits.maximum, now + limits.step), why)
    if state.quiet is not None and now > limits.minimum:
        lasted = at - state.quiet
        why = f"{fewer} would be {would_be:.0%} busy, for {_shown(lasted)}"
        if lasted < limits.down_after:
            return now, f"{why}, of {format_duration(limits.down_after)}"
        return (now, _cooling(why, cooling)) if cooling > 0 else (fewer, why)
    return now, f"it keeps up, {reading.busy:.0%} busy"


def _behind(limits: Limits, reading: Reading) -> tuple[bool, str]:
    if reading.lag > limits.lag:
        return True, f"its next record waits for {_shown(reading.lag)}"
    if limits.delay and reading.delay > limits.delay:
        return True, f"its watermark is {_shown(reading.delay)} behind"
    return False, ""


def _caught_up(state: State, reading: Reading) -> int | None:
    """In how many ms nothing waits any more, if it goes on as since the last reading; None if it does not come to that."""
    if state.read is None or reading.lag >= state.lag:
        return None
    return reading.lag * (reading.at - state.read) // (state.lag - reading.lag)


def _cooling(why: str, left: int) -> str:
    return f"{why}, but the last change settles for {_shown(left)} more"


def _since(before: int | None, now: int) -> int:
    return now if before is None else before


def _shown(ms: int) -> str:
    """A duration to the second: what was measured means no more."""
    return format_duration(ms // SECOND * SECOND)
