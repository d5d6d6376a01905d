"""Settings that every job has."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"([0-9]{1,15})\s*(ms|s|m|h|d)")
LONGEST = 36_500 * _UNITS["d"]
"""The longest duration, in ms. With it no sum of a watermark and durations leaves int64."""


def parse_duration(value: object) -> int:
    """A duration in ms, from `30m`, `90s`, `1h30m` or a number of ms.

    Raises:
        ValueError: It is none of these, or longer than `LONGEST`.
    """
    duration = value if type(value) is int else _milliseconds(str(value).strip())
    if duration > LONGEST:
        raise ValueError(f"'{value}' is too long: the longest duration is {format_duration(LONGEST)}")
    return duration


def _milliseconds(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    if not re.fullmatch(rf"({_DURATION.pattern})(\s*{_DURATION.pattern})*", text):
        raise ValueError(f"'{text}' is not a duration: write 30m, 90s, 1h30m, 250ms or 2d")
    return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


def format_duration(ms: int) -> str:
    """A duration for people, such as `1h30m`; `parse_duration` reads it back.

    Args:
        ms: The duration in ms, not negative.
    """
    pieces = []
    for unit, size in _UNITS.items():
        count, ms = divmod(ms, size)
        if count:
            pieces.append(f"{count}{unit}")
    return "".join(pieces) or "0s"


Duration = Annotated[int, BeforeValidator(parse_duration)]
"""Milliseconds; accepts durations such as `30m`."""


def is_duration(field: FieldInfo) -> bool:
    """Whether a setting is a `Duration`, so that people want it as one."""
    return any(isinstance(part, BeforeValidator) and part.func is parse_duration for part in field.metadata)


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
    buckets: int = Field(default=64, ge=1, le=32_768, description="parts the state is kept in; fixed for its life")
    parallelism: int = Field(default=2, ge=1, description="how many tasks step buckets side by side")
