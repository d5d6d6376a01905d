"""What can be set of made-up streams."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.config.job import Duration


class GeneratorSettings(BaseModel):
    """How much traffic, of whom, and what goes wrong with it. Shares are of `events`.

    Redeliveries and malformed records come on top of `events`, so what is right stays the same when
    they are set otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: int = Field(default=200_000, ge=1, description="how many views and clicks happen")
    users: int = Field(default=5_000, ge=1, description="how many people there are; bots come on top")
    advertisements: int = Field(default=1_000, ge=1, description="how many advertisements there are")
    files: int = Field(default=10, ge=1, le=1_000_000, description="how many files each stream has: steps of a run")
    start: int = Field(default=1_767_225_600_000, ge=0, description="when the first visit may start, in epoch ms")
    span: Duration = Field(default=86_400_000, ge=1_000, description="how much event time the visits start in")
    swing: float = Field(default=0.7, ge=0, le=1, description="how far traffic rises above its daily mean, and falls")
    click_through: float = Field(default=0.05, ge=0, le=1, description="clicks a view")
    zipf: float = Field(default=1.1, ge=0, le=10, description="how much popular advertisements lead; 0 for not at all")
    bots: float = Field(default=0.02, ge=0, le=1, description="share of the views that bots make")
    disorder: Duration = Field(default=60_000, ge=0, description="how long after it happened an event arrives at most")
    late: float = Field(default=0.005, ge=0, le=1, description="share of the events that are held up for longer")
    late_by: Duration = Field(default=7_200_000, ge=1, description="how long a late event is held up at most")
    duplicates: float = Field(default=0.01, ge=0, le=1, description="share of the events that are delivered again")
    redelivery_within: Duration = Field(default=600_000, ge=1, description="how long after the first time at most")
    malformed: float = Field(default=0.001, ge=0, le=1, description="malformed records an event")
    seed: int = Field(default=1, ge=0, description="the same seed and settings give the same streams")

    @model_validator(mode="after")
    def _late_is_later(self) -> GeneratorSettings:
        if self.late and self.late_by <= self.disorder:
            raise ValueError(f"late_by ({self.late_by} ms) must be above disorder ({self.disorder} ms)")
        return self
