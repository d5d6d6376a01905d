"""One step of one bucket: what every engine calls, wherever its state lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from common.operators.buckets import concat
from common.operators.step import Watermarks
from common.runtime.frames import Frame, Kind, unpack
from common.topology.plan import Plan


@dataclass(frozen=True)
class BucketStep:
    """What a step of a bucket gives.

    Attributes:
        state: The bucket's new state.
        records: Contract records, by sink stream; streams without records are left out.
        counters: The operator's counters, and `records_in` and `dead_letters`.
        gauges: The operator's gauges.
        due: The watermark at which the bucket must be stepped again, whatever arrives.
    """

    state: pa.Table
    records: Mapping[str, pa.Table]
    counters: Mapping[str, int]
    gauges: Mapping[str, int]
    due: int


def step_bucket(plan: Plan, state: pa.Table, frames: Iterable[Frame], time: Watermarks) -> BucketStep:
    """Steps a bucket by all frames that arrived for it.

    Args:
        plan: The job's plan.
        state: The bucket's state as the last step left it.
        frames: The bucket's frames of this step, in any order.
        time: The watermark before and after this step.
    """
    events, dead = [], []
    for frame in frames:
        if frame.kind is Kind.EVENTS:
            events.append(unpack(frame.payload))
        elif frame.kind is Kind.DEAD:
            dead.append(unpack(frame.payload))
    return step_tables(plan, state, events, dead, time)


def step_tables(
    plan: Plan, state: pa.Table, events: list[pa.Table], dead: list[pa.Table], time: Watermarks
) -> BucketStep:
    """As `step_bucket`, for an engine that has the tables at hand."""
    arrived = concat(events, plan.operator.event_schema)
    step = plan.operator.step(state, arrived, time)
    records = plan.records(step.outputs)
    if dead:
        records[plan.dead_letters] = pa.concat_tables(dead)
    letters = sum(letters_in(table) for table in dead)
    counters = {**step.counters, "dead_letters": letters, "records_in": arrived.num_rows + letters}
    return BucketStep(
        state=step.state,
        records={stream: table for stream, table in records.items() if table.num_rows},
        counters=counters,
        gauges=step.gauges,
        due=step.due,
    )


def letters_in(dead: pa.Table) -> int:
    """How many records a table of dead letters stands for (an undecodable Avro block holds several)."""
    values = dead["value"].combine_chunks()
    return int(values.field("records").to_numpy(zero_copy_only=False).sum())
