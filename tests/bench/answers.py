"""Whether two jobs gave the same sessions: a comparison of speed is worth nothing otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.contracts.contract import load
from common.operators.order import order_by
from common.operators.sessions import ACTION, ACTIONS, SESSIONS
from common.streams.json_text import json_lines
from common.streams.materialise import digest, table
from jobs.sessions.records import session_records
from tests.bench.inputs import LAST_USER

STREAM = "ad-sessions"


def ours(output: Path) -> str:
    """A hash of the sessions that a run of this suite left, but for those of `LAST_USER`."""
    every = table(output, STREAM, load(STREAM))
    return digest(every.filter(pc.not_equal(pc.struct_field(every["key"], "userId"), LAST_USER)))


def native(output: Path) -> str:
    """The same of what a native job left.

    Actions are put in order, as not every engine can do it, and equal ones are counted once, as none does.
    """
    files = sorted(path for path in (output / "sessions").iterdir() if path.name[0] not in "._")
    found = pa.concat_tables([_sessions(pq.read_table(path, partitioning=None)) for path in files])
    records = session_records(found.filter(pc.not_equal(found["userId"], LAST_USER)))
    return digest(records.take(pc.sort_indices(json_lines(records))))


def _sessions(rows: pa.Table) -> pa.Table:
    """A native job's rows as `SESSIONS`."""
    if rows.num_rows == 0:
        return SESSIONS.empty_table()
    rows = rows.combine_chunks()
    actions = rows["actions"].chunk(0)
    lengths = actions.value_lengths().to_numpy()
    flat = actions.flatten()
    columns = [_ms(flat.field("eventTime")), flat.field("advertisementId"), flat.field("click").cast(pa.int8())]
    time, ad, click = (column.to_numpy() for column in columns)
    session = np.repeat(np.arange(len(lengths)), lengths)
    order = order_by([session, time, click, ad])
    sorted_columns = np.stack([session, time, click.astype(np.int64), ad])[:, order]
    new = np.append(True, (np.diff(sorted_columns) != 0).any(axis=0))[: len(order)]
    session, time, click, ad = sorted_columns[:, new]
    items = pa.StructArray.from_arrays(
        [pa.array(time), pa.array(ad), pa.array(click.astype(np.int8))], fields=list(ACTION)
    )
    offsets = pa.array(np.searchsorted(session, np.arange(len(lengths) + 1)).astype(np.int32))
    return pa.table(
        [rows["userId"], _ms(rows["start"]), _ms(rows["end"]), pa.ListArray.from_arrays(offsets, items, type=ACTIONS)],
        schema=SESSIONS,
    )


def _ms(times: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Timestamps of any unit, or what already is in ms, as epoch ms."""
    if pa.types.is_integer(times.type):
        return times
    return times.cast(pa.timestamp("ms", times.type.tz)).cast(pa.int64())
