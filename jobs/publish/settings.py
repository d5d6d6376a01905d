"""The settings of the publish job."""

from __future__ import annotations

from common.config.job import JobSettings


class Settings(JobSettings):
    """`publish` has what every job has."""
