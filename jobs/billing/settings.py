"""The settings of the billing job."""

from __future__ import annotations

from jobs.engagements.settings import Settings as EngagementSettings
from jobs.sessions.settings import Settings as SessionSettings


class Settings(SessionSettings, EngagementSettings):
    """What can be set for `billing`: all of `sessions` and of `engagements`."""
