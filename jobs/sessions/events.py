"""From the contracts of the input streams to the columns of the sessions operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.operators.sessions import EVENTS
from common.streams.columns import timestamps_to_ms

VIEW, CLICK = 0, 1
"""The codes of the `Action` enum, in its order: a view sorts before a click of the same millisecond."""
ACTIONS = pa.array(["View", "Click"])
STREAMS = pa.array(["ad-views", "ad-clicks"])
"""The stream that each action comes from."""


@dataclass(frozen=True)
class AsAction:
    """Records of `ad-views` or `ad-clicks` as `EVENTS` of one action.

    Attributes:
        action: `VIEW` or `CLICK`.
    """

    action: int

    def __call__(self, records: pa.Table) -> pa.Table:
        value = records["value"].combine_chunks()
        return pa.table(
            [
                records["key"],
                timestamps_to_ms(value.field("createdEventTime")),
                pa.array(np.full(len(value), self.action, dtype=np.int8)),
                value.field("advertisementId"),
            ],
            schema=EVENTS,
        )
