"""The settings of the eventification job."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from common.config.job import JobSettings


class Settings(JobSettings):
    """What can be set for `eventification`, over what every job has."""

    join: Literal["left", "inner"] = Field(
        default="left",
        description="what of an advertisement whose campaign or customer is unknown: left, null in its place; "
        "inner, no promotion until both are known",
    )
