"""A schedule is played: a job runs, is struck, comes back, and what it has written is judged."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from common.runtime.summary import Summary
from tests.recovery.job import Job
from tests.recovery.schedule import Schedule, Strike
from tests.recovery.venues import Venue
from tests.recovery.verdict import Verdict
from tests.recovery.work import Work

Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Recovered:
    """A fault that a job has come back from.

    Attributes:
        strike: The fault.
        at: The step at which it struck.
        seconds: How long it took from the end of the harm to the next complete step.
    """

    strike: Strike
    at: int
    seconds: float


@dataclass(frozen=True)
class Played:
    """A job that was struck, to its end.

    Attributes:
        venue: Where it ran.
        job: Its name.
        seed: The seed of its schedule.
        recovered: The faults; not those that came after its end.
        verdict: What it has written.
        balanced: Whether its own counters add up.
        starts: How often it was started.
    """

    venue: str
    job: str
    seed: int
    recovered: tuple[Recovered, ...] = field(default=())
    verdict: Verdict = field(default_factory=Verdict)
    balanced: bool = True
    starts: int = 1

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict.right and self.balanced


def play(
    venue: Venue, work: Work, schedule: Schedule, folder: Path, until: float = math.inf, tell: Tell = lambda _: None
) -> Played:
    """Plays a schedule below a folder.

    Args:
        venue: Where.
        work: What the job is given.
        schedule: What befalls it.
        folder: An empty folder.
        until: After that, by `time.monotonic()`, nothing more befalls it than the first.
        tell: Called with what has happened.

    Raises:
        RecoveryError: The job did not come back, or went on where it must not.
    """
    rng = random.Random(schedule.seed)
    with venue.opened(folder, rng) as place:
        job = Job(
            name=work.job,
            engine=venue.engine,
            input=work.given(folder / "input"),
            folder=folder,
            settings=work.settings,
            options=place.options,
            parallelism=schedule.parallelism,
        )
        try:
            job.start()
            recovered = []
            for strike in schedule.strikes:
                if not job.reach(strike.step):
                    break
                time.sleep(strike.delay)
                if job.ended() or (recovered and time.monotonic() > until):
                    break
                job.parallelism = strike.parallelism
                place.faults[strike.fault].strike(job, random.Random(strike.seed))
                over, before = time.monotonic(), job.steps
                if not job.reach(before + 1):
                    tell(f"{strike.fault} at step {before}: all was done before it was over, so it does not count")
                    break
                recovered.append(Recovered(strike, before, time.monotonic() - over))
                tell(f"{strike.fault} at step {before}, on with {job.parallelism}: {recovered[-1].seconds:.1f} s")
            job.finish()
        finally:
            job.kill()
        verdict = Verdict.of(work.wanted(folder), work.found(job.output))
        balanced = Summary.load(job.output).balanced
    return Played(venue.name, work.job, schedule.seed, tuple(recovered), verdict, balanced, job.starts)
