"""The policy over whole days: it neither flaps nor starves."""

from __future__ import annotations

import pytest

from common.scaling.policy import MINUTE, Limits
from tests.scaling.days import DAYS
from tests.scaling.simulate import simulate

LIMITS = Limits()
SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day", DAYS)
def test_a_day_is_neither_flapped_nor_starved_through(day: str, seed: int) -> None:
    lived = simulate(LIMITS, DAYS[day](seed))
    assert lived.flaps == 0
    assert len(lived.changes) <= 12
    assert lived.most_lag < 15 * MINUTE and lived.behind(LIMITS.lag) < 0.08
    assert lived.moments[-1].lag < LIMITS.lag + MINUTE
    assert lived.task_hours < 0.75 * 24 * LIMITS.maximum


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_policy_guards_against_is_seen_without_it(seed: int) -> None:
    """Without patience and hysteresis the same days are flapped through, or the tests above would show nothing."""
    hasty = Limits(up_after=0, down_after=0, cool_down=0, busy=0.99)
    assert sum(simulate(hasty, DAYS[day](seed)).flaps for day in DAYS) > 50
