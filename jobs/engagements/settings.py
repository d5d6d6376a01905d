"""The settings of the engagements job."""

from __future__ import annotations

from pydantic import Field

from common.config.job import JobSettings
from jobs.engagements.conversions import Attribution


class Settings(JobSettings):
    """What can be set for `engagements`, over what every job has."""

    attribution: Attribution = Field(
        default="every_view", description="which views a click converts: every_view before it, or one_to_one"
    )
