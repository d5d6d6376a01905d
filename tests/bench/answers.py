"""Whether two jobs gave the same answer: a comparison of speed is worth nothing otherwise."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.contracts.contract import load
from common.operators.order import order_by
from common.operators.sessions import ACTION, ACTIONS, SESSIONS
from common.streams.delta import DELTA_LOG, delta_files
from common.streams.json_text import json_lines
from common.streams.materialise import digest, table
from jobs.sessions.records import session_records
from tests.bench.inputs import LAST_USER

SESSION_STREAM, ENGAGEMENT_STREAM = "ad-sessions", "ad-engagements"


ENGAGEMENTS = pa.schema([("id", pa.int64()), ("sum", pa.int64()), ("name", pa.string()), ("type", pa.string())])
"""What native jobs write."""


def our_sessions(output: Path) -> str:
    """A hash of the sessions that a run of this suite left, but for those of `LAST_USER`."""
    every = table(output, SESSION_STREAM, load(SESSION_STREAM))
    return digest(every.filter(pc.not_equal(pc.struct_field(every["key"], "userId"), LAST_USER)))


def native_sessions(output: Path) -> str:
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


def our_engagements(output: Path) -> str:
    """A hash of the engagements that a run of this suite left."""
    return digest(table(output, ENGAGEMENT_STREAM, load(ENGAGEMENT_STREAM)))


def native_engagements(output: Path) -> str:
    """The same of what a native job left: a Delta table, or a changelog."""
    folder = output / "engagements"
    rows = _delta_rows(folder) if (folder / DELTA_LOG).exists() else _changelog_rows(folder)
    schema = load(ENGAGEMENT_STREAM).arrow
    columns = [rows[name].combine_chunks() for name in ("sum", "name", "type")]
    value = pa.StructArray.from_arrays(columns, fields=list(schema.field("value").type))
    records = pa.table([rows["id"], value], schema=schema)
    return digest(records.take(pc.sort_indices(json_lines(records))))


def _delta_rows(folder: Path) -> pa.Table:
    files = [pq.read_table(path, partitioning=None) for path in delta_files(folder)]
    return pa.concat_tables(files).cast(ENGAGEMENTS)


def _changelog_rows(folder: Path) -> pa.Table:
    """What stands after all changes, whatever their order: an update takes one row back and adds another."""
    standing = Counter[tuple[Any, ...]]()
    for path in folder.iterdir():
        if path.name[0] not in "._":
            for line in path.read_text().splitlines():
                change = json.loads(line)
                row, number = (change["after"], 1) if change["op"] == "c" else (change["before"], -1)
                standing[tuple(row[name] for name in ENGAGEMENTS.names)] += number
    rows = [dict(zip(ENGAGEMENTS.names, row, strict=True)) for row in standing.elements()]
    return pa.Table.from_pylist(rows, ENGAGEMENTS)


OURS: Mapping[str, Callable[[Path], str]] = {"sessions": our_sessions, "engagements": our_engagements}
NATIVE: Mapping[str, Callable[[Path], str]] = {"sessions": native_sessions, "engagements": native_engagements}
"""How the answer of a job is read."""
