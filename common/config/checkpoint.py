"""How a job's state is kept: one block of settings, which each engine renders to its own options or refuses."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from common.config.duration import Duration

Backend = Literal["suite", "hashmap", "rocksdb"]


class CheckpointSettings(BaseModel):
    """The settings below `checkpoint`; what they mean on each engine stands in common/runtime/README.md.

    Offsets, watermarks and the state of all operators are always in one snapshot, the one behind a step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    interval: Duration | None = Field(
        default=None,
        ge=100,
        description="longest time between two checkpoints, where they are not taken with each step",
    )
    storage: str = Field(
        default="", description="where checkpoints are: a folder or s3://BUCKET/PATH, each job below it"
    )
    retention: int = Field(default=1, ge=1, le=1000, description="how many complete checkpoints are kept")
    state_backend: Backend = Field(
        default="suite", description="what an engine with state of its own holds it in during a run: hashmap or rocksdb"
    )
    mode: Literal["exactly_once"] = Field(default="exactly_once", description="exactly_once: there is no other")

    @field_validator("mode", mode="before")
    @classmethod
    def _only_exactly_once(cls, value: object) -> object:
        if value == "at_least_once":
            raise ValueError(
                "a step counts what arrives for it, so nothing may come twice: exactly_once is the only mode"
            )
        return value
