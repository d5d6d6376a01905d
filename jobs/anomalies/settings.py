"""The settings of the anomalies job."""

from __future__ import annotations

from pydantic import Field, model_validator

from common.config.job import Duration, JobSettings


class Settings(JobSettings):
    """What can be set for `anomalies`, over what every job has."""

    grace: Duration = Field(default=1_800_000, ge=0, description="how late an event may be and still correct a finding")
    dedupe: bool = Field(default=True, description="count a redelivered event once")
    click_window: Duration = Field(default=600_000, gt=0, description="in how much time a user's clicks are counted")
    click_every: Duration = Field(default=60_000, gt=0, description="how long after one such window the next starts")
    click_limit: int = Field(default=20, ge=1, description="how many clicks a user may make in a window")
    ad_window: Duration = Field(default=3_600_000, gt=0, description="over how much time click-through is measured")
    ad_views: int = Field(default=100, ge=1, description="views that a window needs to be judged, or be a baseline")
    ad_history: int = Field(default=24, ge=1, description="how many windows before are a window's baseline, at most")
    ad_history_least: int = Field(default=8, ge=1, description="how many windows before it takes at least")
    ad_score: float = Field(default=5.0, gt=0, description="from which score on click-through is an anomaly")
    ad_floor: float = Field(default=0.02, gt=0, description="the least deviation that a score is measured by")
    gap: Duration = Field(default=1_800_000, gt=0, description="longest break inside a session")
    session_longest: Duration = Field(default=14_400_000, gt=0, description="how long a session of a person may be")
    session_pause: Duration = Field(default=20_000, gt=0, description="how long a break has to be to be a pause")
    session_actions: int = Field(default=50, ge=2, description="actions without a pause that no person makes")

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.click_window % self.click_every:
            raise ValueError("click_window must be a multiple of click_every")
        if self.ad_history_least > self.ad_history:
            raise ValueError("ad_history_least can't be more than ad_history")
        return self
