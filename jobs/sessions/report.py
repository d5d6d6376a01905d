"""What the output of the sessions job holds, for the table after a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.config.job import format_duration
from common.contracts.contract import load
from common.operators.order import order_by
from common.streams.columns import item_counts, timestamps_to_ms
from common.streams.materialise import records

STREAM = "ad-sessions"

Ints = npt.NDArray[np.int64]

_COUNTED = pa.schema(
    [
        pa.field("userId", pa.string()),
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("actions", pa.int64()),
        pa.field("span", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Longest:
    """The session with the longest time between its first and last action.

    Attributes:
        user: Whose it is.
        span: That time, in ms.
        actions: How many actions it has.
    """

    user: str
    span: int
    actions: int

    def __str__(self) -> str:
        return f"{format_duration(self.span // 1000 * 1000)}, {self.actions:,} actions, user {self.user}"


def report(output: Path) -> dict[str, int | str]:
    """Sessions, users and actions after all corrections, and the longest session.

    Records are counted batch by batch and their actions let go, so memory follows the number of sessions only.

    Args:
        output: The output folder of a run.
    """
    counted = [_counted(batch) for batch in records(output, STREAM, load(STREAM))]
    standing = _standing(pa.concat_tables([_COUNTED.empty_table(), *counted]).combine_chunks())
    longest = _longest(standing)
    return {
        "sessions": standing.num_rows,
        "users": pc.count_distinct(standing["userId"]).as_py(),
        "actions": pc.sum(standing["actions"]).as_py() or 0,
        "longest session": str(longest) if longest else "none",
    }


def _counted(batch: pa.Table) -> pa.Table:
    """Records as `_COUNTED`: how many actions a session has, and over which time; 0 actions for a tombstone."""
    rows = batch.combine_chunks().to_batches()[0] if batch.num_rows else pa.RecordBatch.from_pylist([], batch.schema)
    key, value = rows.column("key"), rows.column("value")
    window = key.field("window")
    actions = pc.struct_field(value, "actions")
    lengths = item_counts(actions)
    times = timestamps_to_ms(actions.flatten().field("eventTime")).to_numpy()
    return pa.Table.from_arrays(
        [
            key.field("userId"),
            timestamps_to_ms(window.field("start")),
            timestamps_to_ms(window.field("end")),
            pa.array(lengths),
            pa.array(_spans(times, lengths)),
        ],
        schema=_COUNTED,
    )


def _spans(times: Ints, lengths: Ints) -> Ints:
    """The time from the first to the last action of each session; actions are in order of their times."""
    spans = np.zeros(len(lengths), dtype=np.int64)
    filled = lengths > 0
    ends = np.cumsum(lengths)[filled]
    spans[filled] = times[ends - 1] - times[ends - lengths[filled]]
    return spans


def _standing(counted: pa.Table) -> pa.Table:
    """The last record of each key, unless it is a tombstone."""
    if counted.num_rows == 0:
        return counted
    user = counted["userId"].chunk(0).dictionary_encode().indices.to_numpy()
    start, end = counted["start"].to_numpy(), counted["end"].to_numpy()
    order = order_by([user, start, end, np.arange(len(user))])
    user, start, end = user[order], start[order], end[order]
    last = np.append((user[1:] != user[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1]), True)
    latest = counted.take(pa.array(order[last]))
    return latest.filter(pc.greater(latest["actions"], 0))


def _longest(standing: pa.Table) -> Longest | None:
    if standing.num_rows == 0:
        return None
    row = int(np.argmax(standing["span"].to_numpy()))
    found = standing.slice(row, 1).to_pylist()[0]
    return Longest(found["userId"], found["span"], found["actions"])
