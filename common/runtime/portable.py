"""A checkpoint as tables that anything can read, and back: to look at it, to keep it, to take it elsewhere.

<folder>/manifest.json        the job, its step, parameters, contracts and counters; what each table is
<folder>/offsets.parquet      partition, next, last: what was taken of each stream
<folder>/watermarks.parquet   partition, latest, heard: what the watermark follows from, in epoch ms
<folder>/buckets.parquet      round, bucket, due, gauges
<folder>/<operator>.parquet   the operator's state: its bucket, and the columns of its `state_schema`
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.errors import AdstreamError, reason_of
from common.operators.buckets import concat, split_by_bucket
from common.operators.nulls import nullable, retyped
from common.operators.step import BEGINNING
from common.runtime.bucket import Kept
from common.runtime.checkpoint import BucketState, Checkpoint, Manifest
from common.runtime.clock import Clock
from common.runtime.compatible import BUCKETS, check
from common.runtime.keyed import Stored, state_file
from common.streams.folder import Position
from common.topology.plan import Plan, Stage

MANIFEST = "manifest.json"
FORMAT = "adstream-checkpoint-1"
BUCKET = "__bucket"
_OF_FILES = ("last", "present", "parts")
"""What a position knows of a folder, beside how much was taken of it."""
OFFSETS = pa.schema(
    [
        ("partition", pa.string()),
        ("next", pa.int64()),
        ("last", pa.string()),
        ("present", pa.int64()),
        ("parts", pa.int64()),
    ]
)
WATERMARKS = pa.schema([("partition", pa.string()), ("latest", pa.int64()), ("heard", pa.int64())])
Due: TypeAlias = dict[tuple[int, int], tuple[int, dict[str, int]]]
"""When each bucket is due, and its gauges, by round and bucket."""
DUE = pa.schema([("round", pa.int32()), ("bucket", pa.int32()), ("due", pa.int64()), ("gauges", pa.string())])


def export(checkpoint: Checkpoint, plan: Plan, manifest: Manifest, folder: Path) -> dict[str, int]:
    """Writes a checkpoint as tables; gives how many rows each operator holds.

    Args:
        checkpoint: Where its state lies.
        plan: The job's plan.
        manifest: The checkpoint.
        folder: Where to; it must not be there yet.

    Raises:
        AdstreamError: The folder is there, or a state file is not there or not whole.
    """
    if folder.exists():
        raise AdstreamError(f"'{folder}' is there already", "name a new folder")
    folder.mkdir(parents=True)
    tables = {"offsets": _offsets(manifest), "watermarks": _watermarks(manifest.clock), "buckets": _buckets(manifest)}
    rows = {}
    for stage in plan.stages:
        tables[stage.id] = _state(checkpoint, stage, manifest)
        rows[stage.id] = tables[stage.id].num_rows
    described = {}
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path)
        described[name] = {"rows": table.num_rows, "sum": crc32(path.read_bytes())}
    bare = asdict(replace(manifest, rounds=(), position=Position(), clock=replace(manifest.clock, latest={}, heard={})))
    content = {"format": FORMAT, "manifest": bare, "tables": described}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n")
    return rows


def bring_in(folder: Path, checkpoint: Checkpoint, plan: Plan, start: Manifest) -> Manifest:
    """Makes a checkpoint of what `export` wrote, in as many buckets as the job has now.

    Where that is another number than before, every bucket that holds something is stepped with the next step, which
    finds out anew what it has due, and how much it holds; until then one of them tells that for all.

    Args:
        folder: The tables.
        checkpoint: Where to; it must be empty.
        plan: The job's plan.
        start: The checkpoint that the job as it is configured now would begin with.

    Raises:
        AdstreamError: The tables are not whole or not of this job as it is configured now, or a checkpoint is there.
    """
    if checkpoint.load() is not None:
        raise AdstreamError(
            f"checkpoint '{checkpoint.place}' is there already", f"name a new place, or adstream reset {plan.name}"
        )
    content = _described(folder)
    kept = Manifest(**content["manifest"])
    same = kept.fingerprint[BUCKETS] == start.fingerprint[BUCKETS]
    kept = replace(kept, fingerprint={**kept.fingerprint, BUCKETS: start.fingerprint[BUCKETS]})
    check(kept, start, str(folder))
    tables = {name: _table(folder, name, told) for name, told in content["tables"].items()}
    held = {stage.id: _by_bucket(tables[stage.id], stage, len(start.rounds[0]), same=same) for stage in plan.stages}
    due = _due(tables["buckets"])
    due = due if same else _due_at_once(due, plan, held)
    rounds = tuple(
        tuple(_bucket(checkpoint, plan, kept.step, number, bucket, held, due) for bucket in range(len(buckets)))
        for number, buckets in enumerate(start.rounds)
    )
    manifest = replace(
        kept, position=_position(tables["offsets"]), clock=_clock(content, tables["watermarks"]), rounds=rounds
    )
    checkpoint.save(manifest)
    return manifest


def _bucket(
    checkpoint: Checkpoint,
    plan: Plan,
    step: int,
    number: int,
    bucket: int,
    held: Mapping[str, Mapping[int, pa.Table]],
    due: Due,
) -> BucketState:
    """Writes what a bucket holds in a round."""
    state: dict[str, Kept] = {}
    before = max(step - 1, 0)  # the step that has led to it: what the next one writes lies beside it
    for stage in plan.rounds[number]:
        rows = held[stage.id].get(bucket, stage.operator.state_schema.empty_table())
        key = stage.operator.state_key
        if key is None:
            state[stage.id] = rows
        else:
            name = state_file(before, bucket, stage.id, "arrow")
            state[stage.id] = checkpoint.segments.replace(Stored(), name, key, rows.slice(0, 0), rows)
    moment, gauges = due.get((number, bucket), (BEGINNING, {}))
    return BucketState(checkpoint.write_state(before, bucket, state), moment, gauges)


def _state(checkpoint: Checkpoint, stage: Stage, manifest: Manifest) -> pa.Table:
    """All that a stage holds, with the bucket of each row. Anything may be null in it: Parquet knows no other nulls."""
    parts, numbers = [], []
    for bucket, kept in enumerate(manifest.rounds[stage.round]):
        rows = checkpoint.table(kept.stored.get(stage.id, Stored()), stage.operator)
        parts.append(rows)
        numbers.append(np.full(rows.num_rows, bucket, dtype=np.int32))
    state = concat(parts, stage.operator.state_schema)
    return retyped(state, nullable(state.schema)).add_column(0, BUCKET, pa.array(np.concatenate(numbers)))


def _by_bucket(table: pa.Table, stage: Stage, buckets: int, *, same: bool) -> Mapping[int, pa.Table]:
    """The rows of a stage's state by their bucket: the one they were in, or that of their key.

    A row without a key tells something of all keys, so every bucket gets it, as it got what the row was made from.

    Raises:
        AdstreamError: The rows go to other buckets, but don't tell by which key.
    """
    if not table.num_rows:
        return {}
    schema = stage.operator.state_schema
    state = retyped(table.drop_columns(BUCKET), schema)
    if not same:
        if stage.key not in schema.names:
            raise AdstreamError(
                f"operator '{stage.id}' keeps no '{stage.key}', by which rows find their bucket",
                "keep the number of buckets",
            )
        keyless = state.filter(pc.is_null(state[stage.key]))
        keyed = split_by_bucket(state.filter(pc.is_valid(state[stage.key])), stage.key, buckets)
        if not keyless.num_rows:
            return keyed
        return {bucket: concat([keyless, keyed.get(bucket, keyless.slice(0, 0))], schema) for bucket in range(buckets)}
    # Those of a bucket stand together.
    found, first, counts = np.unique(table[BUCKET].to_numpy(), return_index=True, return_counts=True)
    places = zip(found.tolist(), first.tolist(), counts.tolist(), strict=True)
    return {bucket: state.slice(begin, count) for bucket, begin, count in places}


def _described(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        if content.get("format") != FORMAT:
            raise ValueError(f"its format is {content.get('format')}")
    except (OSError, ValueError, AttributeError) as error:
        raise AdstreamError(
            f"'{path}' does not describe an exported checkpoint ({reason_of(error)})",
            "adstream checkpoints export writes one",
        ) from error
    bare = content["manifest"]
    content["manifest"] = {**bare, "position": Position(), "clock": Clock(**bare["clock"]), "rounds": ()}
    return content


def _table(folder: Path, name: str, told: Mapping[str, int]) -> pa.Table:
    path = folder / f"{name}.parquet"
    try:
        content = path.read_bytes()
        if crc32(content) != told["sum"]:
            raise ValueError("it is not as it was written")
        return pq.read_table(pa.BufferReader(content))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise AdstreamError(f"'{path}' can't be read ({reason_of(error)})", "export the checkpoint again") from error


def _offsets(manifest: Manifest) -> pa.Table:
    taken = manifest.position
    rows = [
        {"partition": name, "next": count, **{each: getattr(taken, each).get(name) for each in _OF_FILES}}
        for name, count in taken.counts.items()
    ]
    return pa.Table.from_pylist(rows, OFFSETS)


def _position(offsets: pa.Table) -> Position:
    rows = offsets.to_pylist()
    of_files = {each: {row["partition"]: row[each] for row in rows if row[each] is not None} for each in _OF_FILES}
    return Position({row["partition"]: row["next"] for row in rows}, **of_files)


def _watermarks(clock: Clock) -> pa.Table:
    rows = [{"partition": name, "latest": at, "heard": clock.heard.get(name)} for name, at in clock.latest.items()]
    return pa.Table.from_pylist(rows, WATERMARKS)


def _clock(content: Mapping[str, Any], watermarks: pa.Table) -> Clock:
    clock: Clock = content["manifest"]["clock"]
    rows = watermarks.to_pylist()
    heard = {row["partition"]: row["heard"] for row in rows if row["heard"] is not None}
    return replace(clock, latest={row["partition"]: row["latest"] for row in rows}, heard=heard)


def _buckets(manifest: Manifest) -> pa.Table:
    return pa.Table.from_pylist(list(_rows(manifest)), DUE)


def _rows(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for number, buckets in enumerate(manifest.rounds):
        for bucket, kept in enumerate(buckets):
            yield {"round": number, "bucket": bucket, "due": kept.due, "gauges": json.dumps(dict(kept.gauges))}


def _due(buckets: pa.Table) -> Due:
    rows = buckets.to_pylist()
    return {(row["round"], row["bucket"]): (row["due"], json.loads(row["gauges"])) for row in rows}


def _due_at_once(before: Due, plan: Plan, held: Mapping[str, Mapping[int, pa.Table]]) -> Due:
    """The gauges of each round, added up, on one of its new buckets: one that is stepped next, as it holds something."""
    totals: dict[int, Counter[str]] = defaultdict(Counter)
    for (number, _), (_, gauges) in before.items():
        totals[number].update(gauges)
    due: Due = {}
    for number, stages in enumerate(plan.rounds):
        buckets = [bucket for stage in stages for bucket in held[stage.id]]
        if buckets:
            due[number, min(buckets)] = (BEGINNING, dict(totals[number]))
    return due
