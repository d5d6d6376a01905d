"""The seam between operators and engines: one step over the state of some keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

BEGINNING = -(2**62)
"""The watermark before anything was seen, in ms. Far enough from int64's edge to subtract from."""
END = 2**62
"""The watermark of an ended input: nothing is expected any more."""


@dataclass(frozen=True)
class Watermarks:
    """The two moments of a step, in epoch ms (SEMANTICS.md, "Session" and "Late events").

    Attributes:
        before: The watermark when the batch arrived: what decides whether an event is late.
        after: The watermark once the batch was counted in: what decides which results are due.
    """

    before: int = BEGINNING
    after: int = BEGINNING

    def __post_init__(self) -> None:
        if self.after < self.before:
            raise ValueError(f"a watermark never goes back: {self.before} -> {self.after}")


@dataclass(frozen=True)
class Step:
    """What one step gives.

    Attributes:
        state: The new state, in the operator's `state_schema`.
        outputs: A table for each of the operator's outputs.
        counters: What happened in this step; engines add them up over steps and buckets.
        gauges: How much `state` holds; engines add them up over buckets only.
        due: The earliest watermark (ms) at which `state` needs another step although no event
            arrives. `END` when there is none: a bucket that is neither touched nor due is not stepped.
    """

    state: pa.Table
    outputs: Mapping[str, pa.Table]
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, int] = field(default_factory=dict)
    due: int = END


class Operator(Protocol):
    """A pure function over many keys at once. It holds parameters only: no clock, file or thread.

    Its state is kept by bucket or by key. By bucket, a step is given all that the bucket holds and gives back
    all that it holds then. By key, for tables that only grow, a step is given the rows of the keys that
    arrived, no others; what it gives back replaces these rows, and a key without a row is gone. So a table by
    key has no moment at which it is due, and its gauges can't be counted from `state`.
    """

    @property
    def state_schema(self) -> pa.Schema:
        """The Arrow schema of the state table, the same on every engine."""
        ...

    @property
    def state_key(self) -> str | None:
        """The column, of state and events alike, that tells the rows of a table by key; None: state by bucket."""
        ...

    @property
    def event_schema(self) -> pa.Schema:
        """The Arrow schema of the events that `step` takes; time passes with their `eventTime`, if they have it."""
        ...

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """The Arrow schema of each output of a step, by name."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """The parameters that a kept state depends on; a checkpoint made under others is refused."""
        ...

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Advances the state by one batch of events and the passing of time.

        Args:
            state: What is held, in `state_schema`: of the bucket, or of the keys that arrived.
            events: The batch, in `event_schema`; those of one partition are in the partition's order.
            time: The watermark before and after the batch.
        """
        ...
