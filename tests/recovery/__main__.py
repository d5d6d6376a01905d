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
from tests.recovery import disk
from tests.recovery.job import RecoveryError
from tests.recovery.play import Played, play
from tests.recovery.schedule import Schedule
from tests.recovery.table import keep, kept, lines_of, table
from tests.recovery.venues import VENUES, Venue
from tests.recovery.work import Known, Own, Work

RESULTS = Path("build/recovery/results.jsonl")
CONSOLE = Console(width=140)
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
    minutes: float = 24 * 60.0,
    go_on: Annotated[bool, Parameter(negative="")] = False,
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
        minutes: After how many no more schedules are begun, and no more than one fault befalls a job.
        go_on: Play only those that are not kept in build/recovery, and show these with them.
        table_only: Play nothing: show what is kept there.
    """
    names = [pick("venue", name, VENUES) for name in venue] or list(VENUES)
    lines = [line for line in kept(RESULTS) if line.venue in names] if go_on or table_only else []
    if table_only:
        CONSOLE.print(table(lines))
        return ExitCode.OK
    played_before = {(line.venue, line.job, line.seed) for line in lines}
    if (reason := disk.unavailable()) is not None:
        _tell("storage-away, storage-read-only, disk-full", f"left out ({reason})")
    until, right = time.monotonic() + 60 * minutes, all(line.right for line in lines)
    for name in names:
        place = VENUES[name]
        if (reason := place.unavailable()) is not None:
            _tell(name, f"left out ({reason})")
            continue
        faults = _chosen(place, fault)
        for number in range(seeds) if seed is None else (seed,):
            if time.monotonic() > until:
                break
            if (name, job, number) in played_before:
                continue
            work = _work(place, job, input, assignments, number)
            played = _played(place, work, Schedule.draw(number, faults, work.steps, strikes), until)
            lines += lines_of(played) if played else []
            right = right and played is not None and played.right
    CONSOLE.print(table(lines))
    return ExitCode.OK if right else ExitCode.DIFFERENT


def _chosen(venue: Venue, faults: Sequence[str]) -> tuple[str, ...]:
    """Those of some faults that a venue knows; all that it knows, if none are named."""
    everywhere = sorted({name for each in VENUES.values() for name in each.faults()})
    named = [pick("fault", name, everywhere) for name in faults]
    return tuple(name for name in named if name in venue.faults()) or venue.faults()


def _played(venue: Venue, work: Work, schedule: Schedule, until: float) -> Played | None:
    """Plays a schedule, and tells and keeps what came of it; None if the job did not come back."""
    who, load = f"{venue.name} seed {schedule.seed}", os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(prefix="adstream-recovery-"))
    try:
        played = play(venue, work, schedule, folder, until, partial(_tell, who))
    except RecoveryError as error:
        _tell(who, f"FAILED: {schedule}\n{error}\nsee {folder}")
        return None
    keep(lines_of(played), RESULTS)
    _tell(who, f"{played.starts} starts, load {load:.1f}: {played.verdict}")
    if played.right:
        shutil.rmtree(folder)
    else:
        _tell(who, f"WRONG (its balance adds up: {played.balanced}): see {folder}")
    return played


def _tell(who: str, text: str) -> None:
    CONSOLE.print(f"{who}: {text}", highlight=False, markup=False)


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
