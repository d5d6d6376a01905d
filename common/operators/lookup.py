"""Facts joined with what a dimension says of their key, at their time or now (SEMANTICS.md, "Lookups").

Both streams come keyed by the dimension's key, so the rows of a key and the facts that ask for them meet in one
bucket; the dimension is never copied to every task. The rows of a step are applied before its facts are joined, and a
fact that has to wait for a row is held. `AsFact` and `AsDimension` make one stream of the two.

Example:
    >>> operator = Lookup(clicks, ads, key="advertisementId", at="event_time")
    >>> both = Merge("rows", (Map("facts", clicks, AsFact(operator)), Map("ads", ads, AsDimension(operator))))
    >>> Process("lookup", KeyBy(both, "advertisementId"), operator).output("joined")  # the columns of both
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.errors import AdstreamError
from common.operators.order import order_by
from common.operators.rows import codes_of, keep, late_rows, late_schema, split
from common.operators.step import BEGINNING, END, Step, Watermarks
from common.streams.columns import as_array

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
TIME = "eventTime"
IS_FACT = pa.field("isFact", pa.bool_(), nullable=False)


@dataclass(frozen=True)
class Lookup:
    """Each fact once: with the dimension's row of its key in `joined`, or in `unmatched`.

    A row of the dimension holds from its time until the next row of its key; one without values (a tombstone)
    ends the one before. At `event_time`, a fact is joined with the row that holds at its own time, once the watermark
    has passed that by `wait`. At `latest`, it is joined with the newest row there is, at once; where there is none,
    it waits for one until the watermark has passed its time by `wait`.

    Attributes:
        fact: The facts: the key, `eventTime` (`int64`, ms), and what else they hold.
        dimension: The dimension: the key and its values, and `eventTime` (ms) if its rows have a time.
        key: The column by which they are joined; `string` or `int64`, no nulls.
        at: Which row a fact is joined with.
        wait: How long a fact waits for a row, in ms of event time.
        grace: How far a fact may be behind the watermark and still be joined, in ms. A row is never too late: it
            counts for the facts that are joined after it came.
    """

    fact: pa.Schema
    dimension: pa.Schema
    key: str
    at: Literal["event_time", "latest"] = "event_time"
    wait: int = field(default=0, metadata={"unit": "ms"})
    grace: int = field(default=1_800_000, metadata={"unit": "ms"})

    state_key: None = None

    def __post_init__(self) -> None:
        for schema in (self.fact, self.dimension):
            if self.key not in schema.names:
                raise AdstreamError(f"lookup: the key '{self.key}' is not in {schema.names}", "name a column of both")
        if TIME not in self.fact.names:
            raise AdstreamError(f"lookup: the facts have no '{TIME}'", "give them the time of their event, in ms")
        if self.at == "event_time" and TIME not in self.dimension.names:
            raise AdstreamError(f"lookup: the dimension has no '{TIME}' to join by", "join it at 'latest'")
        both = {f.name for f in self.attributes} & set(self.fact.names)
        if not self._rest.names or not self.attributes.names:
            raise AdstreamError("lookup: facts and dimension need columns besides key and time", "give them some")
        if both:
            raise AdstreamError(f"lookup: facts and dimension both have {sorted(both)}", "give them other names")

    @property
    def attributes(self) -> pa.Schema:
        """The values of a row of the dimension."""
        return pa.schema([f for f in self.dimension if f.name not in (self.key, TIME)])

    @property
    def event_schema(self) -> pa.Schema:
        """The key, the time (ms), which of the two it is, and the columns of both as records, each null in the other."""
        return pa.schema(
            [
                self.fact.field(self.key),
                pa.field(TIME, pa.int64(), nullable=False),
                IS_FACT,
                pa.field("fact", _nullable(self._rest)),
                pa.field("dimension", _nullable(self.attributes)),
            ]
        )

    @property
    def state_schema(self) -> pa.Schema:
        """`event_schema`: the rows that may still be asked for, and the facts that wait."""
        return self.event_schema

    @property
    def joined(self) -> pa.Schema:
        """The columns of a fact, then the values of the dimension."""
        return pa.schema([*self.fact, *self.attributes])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`joined`; `unmatched` facts; `late` facts, with the `watermark` (ms)."""
        return {"joined": self.joined, "unmatched": self.fact, "late": late_schema(self.fact)}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """For `latest` older rows are not kept, and `event_time` would miss them; of these, some are kept for how long a
        fact may be late or wait.
        """
        kept_for = max(self.grace, self.wait) if self.at == "event_time" else 0
        return {"operator": "lookup", "at": self.at, "kept_for": kept_for}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Applies the batch's rows of the dimension, then joins its facts and those that waited.

        Args:
            state: `state_schema`, in any order but of rows of one key and time.
            events: `event_schema`; the rows of a key in the order of their partition.
            time: The watermark before and after the batch.
        """
        dimension, facts = split(events, _is_fact(events))
        accepted, late = split(facts, facts[TIME].to_numpy() <= time.before - self.grace)
        old, waiting = split(state, _is_fact(state))
        rows = self._versions(pa.concat_tables([old, dimension]))
        asked = pa.concat_tables([waiting, accepted])
        found = self._found(rows, asked)
        matched = found >= 0
        passed = asked[TIME].to_numpy() + self.wait <= time.after
        ready = passed if self.at == "event_time" else passed | matched
        joined, held = keep(asked, ready & matched), keep(asked, ~ready)
        unmatched = keep(asked, ready & ~matched)
        kept = self._still_asked(rows, time.after)
        return Step(
            state=pa.concat_tables([kept, held]),
            outputs={
                "joined": self._joined(joined, rows, found[ready & matched]),
                "unmatched": self._facts(unmatched),
                "late": late_rows(self._facts(late), time.before),
            },
            counters={
                "joined": joined.num_rows,
                "unmatched": unmatched.num_rows,
                "late": late.num_rows,
                "dimension_rows": dimension.num_rows,
            },
            gauges={"facts_waiting": held.num_rows, "dimension_held": kept.num_rows},
            due=int(held[TIME].to_numpy().min()) + self.wait if held.num_rows else END,
        )

    @property
    def _rest(self) -> pa.Schema:
        return pa.schema([f for f in self.fact if f.name not in (self.key, TIME)])

    def _versions(self, rows: pa.Table) -> pa.Table:
        """The rows by key and time; of one key and time the one that came last, and of `latest` the newest of each key."""
        codes, times = codes_of(rows, [self.key]), rows[TIME].to_numpy()
        order = order_by([codes, times, np.arange(len(codes))])
        codes, times = codes[order], times[order]
        replaced = codes[1:] == codes[:-1]
        if self.at == "event_time":
            replaced = replaced & (times[1:] == times[:-1])
        last = np.concatenate([~replaced, [True]])[: len(order)]
        return rows.take(pa.array(order[last]))

    def _found(self, rows: pa.Table, asked: pa.Table) -> Ints:
        """The row that each fact is joined with; -1 for none."""
        count = rows.num_rows
        if not count or not asked.num_rows:
            return np.full(asked.num_rows, -1, dtype=np.int64)
        both = [rows.select([self.key, TIME]), asked.select([self.key, TIME])]
        every = pa.concat_tables(both)
        codes, times = codes_of(every, [self.key]), every[TIME].to_numpy()
        moments, rank = np.unique(times, return_inverse=True)
        limit = rank[count:] if self.at == "event_time" else np.full(asked.num_rows, len(moments) - 1)
        # Rows are sorted by key, and codes count keys as they are met: so rows are sorted by code, too.
        place = np.searchsorted(
            codes[:count] * len(moments) + rank[:count], codes[count:] * len(moments) + limit, "right"
        )
        before: Ints = np.maximum(place - 1, 0)
        holds = (place > 0) & (codes[before] == codes[count:])
        alive = rows["dimension"].is_valid().to_numpy()
        return np.where(holds & alive[before], before, -1)

    def _still_asked(self, rows: pa.Table, watermark: int) -> pa.Table:
        """The rows that a fact may still ask for: those that hold at any time that is not over."""
        times, over = rows[TIME].to_numpy(), watermark - max(self.grace, self.wait)
        codes = codes_of(rows, [self.key])
        is_last = np.concatenate([codes[1:] != codes[:-1], [True]])[: len(codes)]
        until = np.where(is_last, END, np.concatenate([times[1:], [END]])[: len(times)])
        # A tombstone with a time is kept: an older row may still come, and it would hold again.
        nothing = rows["dimension"].is_null().to_numpy() & (times == BEGINNING)
        return keep(rows, (until > over) & ~nothing)

    def _facts(self, asked: pa.Table) -> pa.Table:
        """Facts in their own columns."""
        columns = {self.key: asked[self.key], TIME: asked[TIME], **_fields(asked["fact"], self._rest)}
        return pa.table([columns[name] for name in self.fact.names], schema=self.fact)

    def _joined(self, asked: pa.Table, rows: pa.Table, found: Ints) -> pa.Table:
        values = rows["dimension"].take(pa.array(found))
        facts = self._facts(asked)
        return pa.table([*facts.columns, *_fields(values, self.attributes).values()], schema=self.joined)


@dataclass(frozen=True)
class AsFact:
    """Facts as events of a lookup: a batch function."""

    lookup: Lookup

    def __call__(self, facts: pa.Table) -> pa.Table:
        rows = facts.num_rows
        schema = self.lookup.event_schema
        columns = {
            self.lookup.key: facts[self.lookup.key],
            TIME: facts[TIME],
            "isFact": pa.repeat(True, rows),
            "fact": _record(facts, schema.field("fact").type, None),
            "dimension": pa.nulls(rows, schema.field("dimension").type),
        }
        return pa.table([columns[name] for name in schema.names], schema=schema)


@dataclass(frozen=True)
class AsDimension:
    """Rows of a dimension as events of a lookup: a batch function.

    Rows without a time hold since ever. Where there is a column `isDeleted`, a row in which it is true is a tombstone.
    """

    lookup: Lookup

    def __call__(self, dimension: pa.Table) -> pa.Table:
        rows = dimension.num_rows
        schema = self.lookup.event_schema
        timed = TIME in self.lookup.dimension.names
        deleted = as_array(dimension["isDeleted"]) if "isDeleted" in dimension.column_names else None
        columns = {
            self.lookup.key: dimension[self.lookup.key],
            TIME: dimension[TIME] if timed else pa.repeat(pa.scalar(BEGINNING, pa.int64()), rows),
            "isFact": pa.repeat(False, rows),
            "fact": pa.nulls(rows, schema.field("fact").type),
            "dimension": _record(dimension, schema.field("dimension").type, deleted),
        }
        return pa.table([columns[name] for name in schema.names], schema=schema)


def _nullable(schema: pa.Schema) -> pa.StructType:
    """Columns as a record; all nullable, as Parquet asks of what is null with its record."""
    return pa.struct([column.with_nullable(True) for column in schema])


def _record(rows: pa.Table, type_: pa.StructType, missing: pa.Array | None) -> pa.Array:
    columns = [as_array(rows[field.name]) for field in type_]
    return pa.StructArray.from_arrays(columns, fields=list(type_), mask=missing)


def _fields(records: pa.ChunkedArray, schema: pa.Schema) -> dict[str, pa.Array]:
    """The fields of records as columns."""
    array = as_array(records)
    return {name: pc.struct_field(array, [name]) for name in schema.names}


def _is_fact(rows: pa.Table) -> Bools:
    mask: Bools = rows["isFact"].to_numpy()
    return mask
