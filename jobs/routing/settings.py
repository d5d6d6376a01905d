"""The settings of the routing job: what goes where, as its config says it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.config.job import JobSettings

RULES = "rules.yaml"
"""The rules of a job without a config; a copy of this file is where a config begins."""


class RuleSettings(BaseModel):
    """Which records a branch takes, and what they become there."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    where: str = Field(default="True", description="true for the records that are taken; all if absent")
    key: str | None = Field(default=None, description="the key in the branch; the record's own if absent")
    value: dict[str, str] = Field(
        default_factory=dict, description="the fields of the value; one that is absent is the record's of that name"
    )


class BranchSettings(RuleSettings):
    """A stream that is split off, by one rule or, with `merge`, by several."""

    stream: str = Field(min_length=1, description="the stream to write")
    merge: tuple[RuleSettings, ...] = Field(default=(), description="rules that make one form of several")

    @model_validator(mode="after")
    def _one_way(self) -> BranchSettings:
        if self.merge and (self.where != "True" or self.key is not None or self.value):
            raise ValueError(f"branch '{self.stream}' has 'merge' and a rule of its own: put that below 'merge', too")
        return self

    @property
    def rules(self) -> tuple[RuleSettings, ...]:
        """Its rules, in order."""
        return self.merge or (self,)


@cache
def _defaults() -> dict[str, object]:
    content = files("jobs.routing").joinpath(RULES).read_text(encoding="utf-8")
    found: dict[str, object] = yaml.safe_load(content)["routing"]
    return found


def _default_branches() -> tuple[BranchSettings, ...]:
    branches = _defaults()["branches"]
    assert isinstance(branches, list)
    return tuple(BranchSettings(**branch) for branch in branches)


class Settings(JobSettings):
    """What can be set for `routing`, over what every job has."""

    source: str = Field(default_factory=lambda: str(_defaults()["source"]), description="the stream to split")
    filter: str = Field(
        default_factory=lambda: str(_defaults()["filter"]), description="true for the records that are wanted at all"
    )
    branches: tuple[BranchSettings, ...] = Field(
        default_factory=_default_branches, min_length=1, description="where records go: the first that is true counts"
    )
