"""Operators beside one another: one of them tells which events were late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from common.operators.step import Operator, Step, Watermarks

LATE = "late"
TOLD = ("late", "duplicates")
"""The counters of what became of an event; they count events, so they may count each only once a job."""


@dataclass(frozen=True)
class LateToldBeside:
    """An operator whose late events another operator of the topology tells.

    That one takes all the same events, under the same grace. Whether an event is late depends on its time, the grace and the
    watermark alone (SEMANTICS.md, "Late events"), so both find the same ones late, and telling them twice would count
    them twice. The output `late` and the counters of what became of each event are left to the other.

    Attributes:
        operator: The operator, which has an output `late`.

    Example:
        >>> clicks = Windows("userId", (("clicks", 1),), size=600_000, every=60_000, grace=sessions.grace)
        >>> Process("click-windows", by_user, LateToldBeside(clicks)).output("windows")
        >>> Process("sessions", by_user, sessions).output("late")  # of both
    """

    operator: Operator

    @property
    def state_schema(self) -> pa.Schema:
        """The operator's."""
        return self.operator.state_schema

    @property
    def state_key(self) -> str | None:
        """The operator's."""
        return self.operator.state_key

    @property
    def event_schema(self) -> pa.Schema:
        """The operator's."""
        return self.operator.event_schema

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """The operator's, but for `late`."""
        return {name: schema for name, schema in self.operator.outputs.items() if name != LATE}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """The operator's."""
        return self.operator.fingerprint

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """The operator's step, but for its late events.

        Args:
            state: As the operator takes it.
            events: As the operator takes them.
            time: The watermark before and after the batch.
        """
        step = self.operator.step(state, events, time)
        return replace(
            step,
            outputs={name: rows for name, rows in step.outputs.items() if name != LATE},
            counters={name: count for name, count in step.counters.items() if name not in TOLD},
        )
