from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from common.datasets.settings import GeneratorSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events", 0),
        ("users", 0),
        ("files", 0),
        ("click_through", 1.5),
        ("late", -0.1),
        ("duplicates", 2),
        ("malformed", "many"),
        ("span", "a day"),
        ("colour", "red"),
    ],
)
def test_a_bad_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        GeneratorSettings(**{name: value})


def test_durations_may_be_written_as_such() -> None:
    assert GeneratorSettings(span="2d", disorder="90s").span == 172_800_000


def test_late_means_later_than_the_disorder() -> None:
    with pytest.raises(ValidationError, match="late_by"):
        GeneratorSettings(disorder="1h", late_by="1h")
    assert GeneratorSettings(disorder="3h", late=0)
