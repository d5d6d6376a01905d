from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.config.job import LONGEST, JobSettings, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30m", 1_800_000),
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("250ms", 250),
        ("2d", 172_800_000),
        ("0", 0),
        (" 5s ", 5_000),
        (42, 42),
    ],
)
def test_durations_are_milliseconds(text: object, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "m", "30 minutes", "-5m", "1.5h", "30M", "1h-30m", "²", "٣m", "9" * 400, True, None, 1.5]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["36501d", LONGEST + 1, "999999999999999"])
def test_a_duration_that_would_overflow_a_watermark_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is too long: the longest duration is 36500d"):
        parse_duration(text)


@given(st.integers(0, LONGEST))
def test_a_duration_reads_back_as_it_was_written(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert 0 <= duration <= LONGEST


def test_settings_are_frozen_and_know_their_names() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        JobSettings().buckets = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        JobSettings(bucket=1)  # type: ignore[call-arg]
