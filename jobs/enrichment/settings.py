"""The settings of the enrichment job."""

from __future__ import annotations

from pydantic import Field

from common.config.job import Duration, JobSettings


class Settings(JobSettings):
    """What can be set for `enrichment`, over what every job has."""

    wait: Duration = Field(
        default=600_000, ge=0, description="how long, in event time, a click waits for its advertisement"
    )
    grace: Duration = Field(default=1_800_000, ge=0, description="how late a click may be and still be joined")
