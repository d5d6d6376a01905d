"""Durations as settings have them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator
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
