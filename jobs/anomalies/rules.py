"""The kinds of anomalies, and the rule that needs no state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.operators.anomalies import anomalies
from common.operators.session_rules import LENGTH, NO_PAUSE

CLICK_RATE = "click-rate"
CLICK_THROUGH = "click-through"
OF_USERS = (CLICK_RATE, LENGTH, NO_PAUSE)
"""The kinds that are about a user; the others are about an advertisement."""


@dataclass(frozen=True)
class ClickRate:
    """Windows of `userId` and `clicks` as findings about those with too many.

    Counts of a window only grow, so one that was too many stays it: there is nothing to take back.

    Attributes:
        limit: How many clicks are not yet too many.
    """

    limit: int

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Under a higher limit, findings of before would stay that are none any more."""
        return {"click_limit": self.limit}

    def __call__(self, windows: pa.Table) -> pa.Table:
        clicks = windows["clicks"].to_numpy()
        found = windows.filter(pa.array(clicks > self.limit))
        clicks = clicks[clicks > self.limit]
        expected = np.full(len(clicks), self.limit, dtype=np.float64)
        value = (clicks.astype(np.float64), expected, clicks / self.limit, clicks)
        return anomalies(CLICK_RATE, found["userId"], (found["start"], found["end"]), *value)
