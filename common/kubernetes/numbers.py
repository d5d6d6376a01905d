"""A running job's numbers, from the text that it serves at `/metrics`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "adstream_"
INSTANT = 0.001
"""A watermark has whole ms; in seconds it is no more exact than that."""


@dataclass(frozen=True)
class Numbers:
    """What a release is judged by.

    Attributes:
        steps: Steps that are complete since the job's first.
        records: Records that it took since then, the bad ones included.
        dead: Bad records since then.
        watermark: The watermark in epoch seconds; not a number before the first.
        lag: How far the watermark is behind the clock, in seconds; not a number where there is none.
    """

    steps: int = 0
    records: int = 0
    dead: int = 0
    watermark: float = math.nan
    lag: float = math.nan

    @classmethod
    def of(cls, text: str) -> Numbers:
        """Reads Prometheus' text format; what is missing is as before the first step."""
        found: Mapping[str, float] = {
            sample.name.removeprefix(PREFIX): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return cls(
            steps=int(found.get("steps_total", 0)),
            records=int(found.get("records_in_total", 0)),
            dead=int(found.get("dead_letters_total", 0)),
            watermark=found.get("watermark_timestamp_seconds", math.nan),
            lag=found.get("watermark_lag_seconds", math.nan),
        )


@dataclass(frozen=True)
class Bounds:
    """What a release may do.

    Attributes:
        dead_share: The largest share of the records since the release that may be bad.
        dead_free: So many bad records are never a burst.
        lag_slack: By how many seconds the watermark may be further behind than before the release, and yet be well;
            for how many seconds a release that has caught up may take to have what the running one has.
    """

    dead_share: float = 0.01
    dead_free: int = 10
    lag_slack: float = 60.0


def burst(before: Numbers, after: Numbers, bounds: Bounds) -> str:
    """Why the bad records since a release are a burst; empty where they are none."""
    dead, records = after.dead - before.dead, after.records - before.records
    if dead <= bounds.dead_free or dead <= bounds.dead_share * records:
        return ""
    return f"{dead:,} of {records:,} records since the release are dead letters"


def behind(before: Numbers, samples: Iterable[Numbers], bounds: Bounds) -> str:
    """Why a job does not catch up; empty where it does, or has.

    It is well where it is about as near as before the release, or where its watermark moves faster than the clock.
    One that takes no step meanwhile has nothing to take as long as it is ready: that is what its probe asks. So a job
    that has read all there is of last year is well, however far its watermark is behind.

    Args:
        before: The last numbers before the release; all zero of a job that is new.
        samples: The numbers since, in order.
        bounds: What is allowed.
    """
    seen = list(samples)
    if not seen:
        return "it has told no numbers"
    first, last = seen[0], seen[-1]
    if last.steps == first.steps:
        return ""
    if math.isnan(last.lag):
        return "" if math.isnan(before.lag) else "its watermark is no longer known"
    near = 0.0 if math.isnan(before.lag) else before.lag
    if last.lag <= near + bounds.lag_slack or last.lag < first.lag:
        return ""
    return f"its watermark is {last.lag:,.0f} s behind and does not catch up (before the release {near:,.0f} s)"


@dataclass(frozen=True)
class Beside:
    """How far two releases are that run side by side.

    Attributes:
        at: When they were asked, in seconds of any clock.
        running: What the running one had.
        goal: The same as the new one would tell it.
        release: What the new one had after that.
    """

    at: float
    running: Numbers
    goal: Numbers
    release: Numbers


def goal_of(running: Numbers, delay: float) -> Numbers:
    """What a release that began anew must have reached to be where the running one is.

    Args:
        running: The numbers of the running one.
        delay: By how many seconds the new one's watermark is further behind the same events, by its settings.
    """
    return replace(running, watermark=running.watermark - delay)


def short_of(samples: Sequence[Beside], bounds: Bounds) -> str:
    """What a release lacks that runs beside another one; empty once it has caught up.

    It has where it has by now what the running one had `lag_slack` seconds ago, or later: to be level with one that
    goes on at the same moment is not asked.
    """
    if not samples:
        return "one of the two has told no numbers"
    last = samples[-1]
    recent = [each.goal for each in samples if last.at - each.at <= bounds.lag_slack]
    lacking = [_lacking(goal, last.release) for goal in recent]
    return lacking[-1] if all(lacking) else ""


def worse(running: Numbers, release: Numbers, bounds: Bounds) -> str:
    """Why a release that has not caught up has too many bad records; empty where it has not.

    Their number is compared: those that the running one has may all have come early.
    """
    return _surplus(running.dead, release, bounds)


def worse_by_share(running: Numbers, release: Numbers, bounds: Bounds) -> str:
    """As `worse`, of one that has caught up: shares are compared, as the running one may have read what is gone now."""
    return _surplus(running.dead * release.records / max(running.records, 1), release, bounds)


def _surplus(expected: float, release: Numbers, bounds: Bounds) -> str:
    if not burst(replace(release, records=0, dead=round(expected)), release, bounds):
        return ""
    dead, records = f"{release.dead:,} of its {release.records:,} records", f"{expected:,.0f}"
    return f"{dead} are dead letters, {records} would be by the running one"


def _lacking(goal: Numbers, release: Numbers) -> str:
    if release.records < goal.records:
        return f"it has taken {release.records:,} of {goal.records:,} records"
    if math.isnan(goal.watermark) or release.watermark > goal.watermark - INSTANT:
        return ""
    if math.isnan(release.watermark):
        return "its watermark is not known yet"
    return f"its watermark is {goal.watermark - release.watermark:,.0f} s behind the running one's"
