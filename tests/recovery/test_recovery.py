"""A job on the local engine comes back from a few faults; `make recovery` plays the others, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.jobs.billing import BILLING
from tests.conformance.jobs.sessions import SESSIONS
from tests.recovery.faults import ANYWHERE
from tests.recovery.play import play
from tests.recovery.schedule import Schedule
from tests.recovery.venues import VENUES
from tests.recovery.verdict import Verdict
from tests.recovery.work import Known

STEPS = 150
pytestmark = pytest.mark.recovery


@pytest.mark.parametrize("job", [SESSIONS, BILLING], ids=lambda job: job.name)
def test_a_job_on_the_local_engine_comes_back(job: object, tmp_path: Path) -> None:
    work = Known.drawn(job, 11, STEPS, 8)  # type: ignore[arg-type]
    played = play(VENUES["local"], work, Schedule.draw(11, [*ANYWHERE], STEPS, 3), tmp_path)
    assert played.verdict == Verdict() and played.balanced
    assert played.recovered
