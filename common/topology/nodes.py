"""The nodes of a topology: frozen values; nothing runs while they are built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

from common.operators.step import Operator

BatchFunction = Callable[[pa.Table], pa.Table]
"""A pure function over a batch of rows. Module-level, so that it can be shipped to workers by name."""


@runtime_checkable
class Committed(Protocol):
    """A batch function behind a keyed operator that can't be changed while a job goes on: it never takes back what it gave."""

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """The parameters that what it gave depends on."""
        ...


@dataclass(frozen=True)
class Source:
    """A stream that the job reads, as records `{key, value}` of its contract."""

    stream: str


@dataclass(frozen=True)
class Map:
    """A batch function applied to whatever comes; stateless, so an engine may fuse and reorder batches."""

    id: str
    upstream: Node
    function: BatchFunction


@dataclass(frozen=True)
class Merge:
    """The union of streams with one schema; no order between them."""

    id: str
    upstreams: tuple[Node, ...]


@dataclass(frozen=True)
class KeyBy:
    """Rows with equal `column` meet in one place: `bucket = crc32(column) % buckets`."""

    upstream: Node
    column: str


@dataclass(frozen=True)
class Process:
    """A keyed operator with state. `id` is its identity in checkpoints and savepoints: keep it."""

    id: str
    upstream: KeyBy
    operator: Operator

    def output(self, name: str) -> Output:
        """One of the operator's outputs, by name."""
        return Output(self, name)


@dataclass(frozen=True)
class Output:
    """One output (main or side) of a keyed operator."""

    process: Process
    name: str


@dataclass(frozen=True)
class Sink:
    """A stream that the job writes, as records of its contract. The job is its single writer."""

    stream: str
    upstream: Node


@dataclass(frozen=True)
class TableSink:
    """A table that the job keeps, as records of a stream's contract (`common/tables`).

    Attributes:
        stream: The stream; the table has its name.
        upstream: What gives the records. Of entities, at most one a key and step.
        partition: The column that the table is partitioned by; empty for none.
    """

    stream: str
    upstream: Node
    partition: str = ""


Node = Source | Map | Merge | KeyBy | Process | Output


@dataclass(frozen=True)
class Topology:
    """A job: its sinks, and through them everything upstream.

    Attributes:
        name: The job's name, as on the command line.
        sinks: What it writes: streams, or tables.
        dead_letters: The stream for records that break their contract.
        balance: The counters and gauges that must add up to `records_in` after any run.
        owner: The team that answers for the job; if empty, that of the first stream it writes.
    """

    name: str
    sinks: tuple[Sink | TableSink, ...]
    dead_letters: str = "dead-letters"
    balance: tuple[str, ...] = ("dead_letters",)
    owner: str = ""
