from __future__ import annotations

import pytest

from jobs.anomalies.settings import Settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"click_window": "10m", "click_every": "3m"}, "click_window must be a multiple of click_every"),
        ({"ad_history": 7}, "ad_history_least can't be more than ad_history"),
        ({"session_actions": 1}, "session_actions"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)
