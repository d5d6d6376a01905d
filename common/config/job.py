"""Settings that every job has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from common.config.checkpoint import CheckpointSettings
from common.config.duration import LONGEST, Duration, format_duration, is_duration, parse_duration

__all__ = ["LONGEST", "Duration", "JobSettings", "format_duration", "is_duration", "parse_duration"]

MOST = 32_768
"""As many buckets as a job may have, and tasks: more of these would have nothing to do."""


class JobSettings(BaseModel):
    """What can be set for every job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out_of_orderness: Duration = Field(
        default=60_000, ge=0, description="how far the watermark stays behind the latest event"
    )
    max_future_skew: Duration = Field(
        default=86_400_000, ge=0, description="how far ahead of the clock an event may be"
    )
    idle_after: Duration = Field(
        default=0, ge=0, description="how long a stream without an event holds the watermark back; 0 for ever"
    )
    copartition: Literal["any", "required"] = Field(
        default="any", description="'required': input streams on a broker must have equally many partitions"
    )
    buckets: int = Field(default=64, ge=1, le=MOST, description="parts the state is kept in; fixed for its life")
    parallelism: int = Field(default=2, ge=1, le=MOST, description="how many tasks step buckets side by side")
    checkpoint: CheckpointSettings = Field(default=CheckpointSettings(), description="how the state is kept")
