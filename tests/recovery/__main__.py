"""`python -m tests.recovery` kills jobs, lets them come back, and tells what they lost: nothing, or it exits with 1."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from common.cli.request import job_settings
from common.engines.entry import interrupt_when_terminated
from common.errors import AdstreamError, ExitCode
from common.names import pick
from tests.conformance.jobs.every import JOBS
from tests.recovery.job import RecoveryError
from tests.recovery.play import play
from tests.recovery.schedule import Schedule
from tests.recovery.table import keep, kept, lines_of, table
from tests.recovery.venues import VENUES, Venue
from tests.recovery.work import Known, Own, Work

RESULTS = Path("build/recovery/results.jsonl")
EVENTS = 8
"""How many views and clicks a step of made-up arrivals has on average."""
STRIKES = 3

app = App(name="recovery", help=__doc__)
Several = Annotated[Sequence[str], Parameter(negative="")]


@app.default
def main(
    *,
    seeds: int = 1,
    seed: int | None = None,
    venue: Several = (),
    fault: Several = (),
    job: str = "sessions",
    input: Path | None = None,  # noqa: A002 the option's name
    assignments: Annotated[Sequence[str], Parameter(name="--set", negative="")] = (),
    strikes: int = STRIKES,
    minutes: float = 3.5,
    table_only: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Play schedules.

    Args:
        seeds: How many schedules at each venue: those of the seeds from 0 on.
        seed: Only the schedule of this seed, as it was.
        venue: Where; everywhere if absent.
        fault: What may befall the job; everything that the venue knows if absent.
        job: Which job.
        input: Its input, a folder of streams; right is then what the local engine writes undisturbed. Without it the
            arrivals are made up, and right is what the job's oracle says.
        assignments: Settings of the job, with `input` only.
        strikes: How many faults befall a job.
        minutes: After how many no more schedules are begun, and nothing more befalls a job.
        table_only: Play nothing: show what earlier ones gave, as they are kept in build/recovery.
    """
    console, until = Console(width=140), time.monotonic() + 60 * minutes
    if table_only:
        console.print(table(kept(RESULTS)))
        return ExitCode.OK
    wrong, lines = 0, []
    for name in venue or VENUES:
        place = VENUES[pick("venue", name, VENUES)]
        if (reason := place.unavailable()) is not None:
            console.print(f"{name}: left out ({reason})", highlight=False)
            continue
        known = place.faults()
        chosen = tuple(pick("fault", each, known) for each in fault if not venue or each in known) or known
        for number in range(seeds) if seed is None else (seed,):
            if time.monotonic() > until:
                break
            work = _work(place, job, input, assignments, number)
            schedule = Schedule.draw(number, chosen, work.steps, strikes)
            load = os.getloadavg()[0]
            folder = Path(tempfile.mkdtemp(prefix="adstream-recovery-"))
            try:
                played = play(place, work, schedule, folder, until, partial(_tell, console, f"{name} seed {number}"))
            except RecoveryError as error:
                wrong += 1
                console.print(
                    f"{name} seed {number}: FAILED: {schedule}\n{error}\nsee {folder}", highlight=False, markup=False
                )
                continue
            lines += lines_of(played)
            keep(lines_of(played), RESULTS)
            told = ", ".join(
                f"{each.strike.fault}@{each.at}>{each.strike.parallelism} {each.seconds:.1f}s"
                for each in played.recovered
            )
            console.print(
                f"{name} seed {number}: {told}; {played.starts} starts; load {load:.1f}; {played.verdict}",
                highlight=False,
                markup=False,
            )
            if played.verdict.right and played.balanced:
                shutil.rmtree(folder)
            else:
                wrong += 1
                console.print(f"WRONG, balanced: {played.balanced}: see {folder}", highlight=False)
    console.print(table(lines))
    return ExitCode.DIFFERENT if wrong else ExitCode.OK


def _tell(console: Console, what: str, text: str) -> None:
    console.print(f"{what}: {text}", highlight=False, markup=False)


def _work(venue: Venue, job: str, given: Path | None, assignments: Sequence[str], seed: int) -> Work:
    """What a job is given."""
    if given is not None:
        return Own(job, str(given.absolute()), job_settings(job, None, assignments).model_dump())
    known = {each.name: each for each in JOBS}
    if job not in known:
        raise AdstreamError(f"no oracle knows the job '{job}'", "add --input, a folder of its streams")
    return Known.drawn(known[job], seed, venue.steps, EVENTS)


if __name__ == "__main__":
    interrupt_when_terminated()
    try:
        sys.exit(app())
    except AdstreamError as error:
        sys.exit(f"recovery: {error}")
