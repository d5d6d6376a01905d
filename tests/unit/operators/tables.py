"""Plays operators over tables by key as an engine does: a step sees only the rows of the keys that arrived."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.operators.buckets import split_by_bucket
from common.operators.step import Operator, Watermarks
from common.runtime.frames import pack, unpack

Row = dict[str, Any]


def rows(schema: pa.Schema, content: list[tuple[Any, ...]]) -> pa.Table:
    """Tuples as a table of a schema."""
    columns = zip(*content, strict=True) if content else [()] * len(schema)
    return pa.table([pa.array(list(c), f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


@dataclass
class Player:
    """An operator and its whole table, saved and restored between steps.

    Attributes:
        operator: The operator.
        key: The column that rows are shuffled by.
        buckets: How many buckets there are; each is stepped on its own.
    """

    operator: Operator
    key: str
    buckets: int = 1
    table: pa.Table = None
    counters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.table = self.operator.state_schema.empty_table()

    def step(self, events: pa.Table) -> dict[str, pa.Table]:
        """What the step gives, of all buckets."""
        outputs = {name: [schema.empty_table()] for name, schema in self.operator.outputs.items()}
        for batch in self._split(events):
            for name, table in self._step(batch).items():
                outputs[name].append(table)
        return {name: pa.concat_tables(tables) for name, tables in outputs.items()}

    def _split(self, events: pa.Table) -> list[pa.Table]:
        keys = events[self.key].cast(pa.string())
        shuffled = events.append_column("_key", keys)
        return [batch.drop_columns("_key") for batch in split_by_bucket(shuffled, "_key", self.buckets).values()]

    def _step(self, events: pa.Table) -> dict[str, pa.Table]:
        column = self.operator.state_key
        assert column is not None
        touched = pc.is_in(self.table[column], value_set=pc.unique(events[column]))
        step = self.operator.step(unpack(pack(self.table.filter(touched))), events, Watermarks())
        assert step.state.schema.equals(self.operator.state_schema)
        step.state.validate(full=True)
        assert pc.count_distinct(step.state[column]).as_py() == step.state.num_rows, "a row a key"
        assert pc.all(pc.is_in(step.state[column], value_set=pc.unique(events[column]))).as_py() is not False
        for name, schema in self.operator.outputs.items():
            assert step.outputs[name].schema.equals(schema)
            step.outputs[name].validate(full=True)
        self.table = pa.concat_tables([self.table.filter(pc.invert(touched)), step.state])
        self.counters.update(step.counters)
        return dict(step.outputs)


@dataclass
class Reader:
    """Applies upserts and tombstones, and insists that each of them says something new and true."""

    key: str
    table: dict[Any, Row] = field(default_factory=dict)

    def apply(self, changes: pa.Table) -> None:
        """Takes over a step's changes: a row whose other columns are all null is a tombstone."""
        seen = set()
        for row in changes.to_pylist():
            key = row.pop(self.key)
            assert key not in seen, f"{key} twice in one step"
            seen.add(key)
            if all(value is None for value in row.values()):
                assert key in self.table, f"a tombstone for {key}, which is not in the table"
                del self.table[key]
            else:
                assert self.table.get(key) != row, f"{key} again, unchanged"
                self.table[key] = row
