"""The settings of the landing job: which streams become tables, and how these are partitioned."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from common.config.job import JobSettings


def _names(value: object) -> object:
    """`a,b` as a list."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _pairs(value: object) -> object:
    """`a=x,b=y` as a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    for stream, equals, column in pairs:
        if not equals or not column.strip():
            raise ValueError(f"'{stream}' names no column: write STREAM=COLUMN,…")
    return {stream.strip(): column.strip() for stream, _, column in pairs}


class Settings(JobSettings):
    """What can be set for `land`, over what every job has."""

    streams: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=("ad-views", "ad-clicks", "advertisements"), min_length=1, description="the streams that become tables"
    )
    partitions: Annotated[dict[str, str], BeforeValidator(_pairs)] = Field(
        default_factory=dict, description="the column that a stream's table is partitioned by; of a time, its day"
    )

    @model_validator(mode="after")
    def _of_these(self) -> Self:
        for stream in self.partitions:
            if stream not in self.streams:
                raise ValueError(f"partitions: '{stream}' is not one of the streams ({', '.join(self.streams)})")
        return self
