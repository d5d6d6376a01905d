"""The settings of the sessions job."""

from __future__ import annotations

from pydantic import Field

from common.config.job import Duration, JobSettings


class Settings(JobSettings):
    """What can be set for `sessions`, over what every job has."""

    gap: Duration = Field(default=1_800_000, gt=0, description="longest break inside a session")
    grace: Duration = Field(default=1_800_000, ge=0, description="how late an event may be and still correct a session")
    dedupe: bool = Field(default=True, description="count a redelivered event once")
