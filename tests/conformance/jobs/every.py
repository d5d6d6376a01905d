"""The jobs that the kit has cases of."""

from __future__ import annotations

from tests.conformance.job import Job
from tests.conformance.jobs.anomalies import ANOMALIES
from tests.conformance.jobs.billing import BILLING
from tests.conformance.jobs.engagements import ENGAGEMENTS
from tests.conformance.jobs.eventification import EVENTIFICATION
from tests.conformance.jobs.sessions import SESSIONS

JOBS: tuple[Job, ...] = (SESSIONS, ENGAGEMENTS, BILLING, ANOMALIES, EVENTIFICATION)
"""In the order in which they are reported."""
