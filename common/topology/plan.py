"""A topology compiled into what engines run: read, then shuffle by bucket and step, once or more, then write.

A keyed operator is a **stage**. Stages that need nothing but what is already in their bucket run in one **round**: all
that read sources only, and those that follow a stage by the same key. Between rounds there is a shuffle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import TypeAlias

import pyarrow as pa

from common.errors import AdstreamError
from common.operators.step import Operator
from common.topology.graph import nodes, tables
from common.topology.nodes import BatchFunction, Committed, Map, Merge, Node, Output, Process, Source, Topology

EVENT_TIME = "eventTime"
"""The column of events that the watermark follows (SEMANTICS.md, "Session")."""


@dataclass(frozen=True)
class Stage:
    """A keyed operator.

    Attributes:
        id: Its identity in checkpoints.
        key: The column of its events that they are shuffled by.
        operator: The operator.
        round: After how many shuffles it can run, less one.
    """

    id: str
    key: str
    operator: Operator
    round: int

    @property
    def columns(self) -> str:
        """The columns of its state, as text."""
        return ", ".join(f"{field.name}: {field.type}" for field in self.operator.state_schema)

    @property
    def timed(self) -> bool:
        """Whether its events have a time, so that the watermark follows them."""
        return EVENT_TIME in self.operator.event_schema.names


@dataclass(frozen=True)
class Inlet:
    """The way from a source stream to a stage: the batch functions in between."""

    stream: str
    functions: tuple[BatchFunction, ...]
    stage: str

    def apply(self, records: pa.Table) -> pa.Table:
        """Contract records to the stage's events."""
        return _chain(self.functions, records)


@dataclass(frozen=True)
class Link:
    """The way from an output of a stage to a later stage: the batch functions in between."""

    origin: str
    output: str
    functions: tuple[BatchFunction, ...]
    stage: str

    def apply(self, rows: pa.Table) -> pa.Table:
        """The origin's rows to the stage's events."""
        return _chain(self.functions, rows)


@dataclass(frozen=True)
class Outlet:
    """The way from an output of a stage to the stream it is written to: the batch functions in between."""

    origin: str
    output: str
    functions: tuple[BatchFunction, ...]
    stream: str

    def apply(self, rows: pa.Table) -> pa.Table:
        """The origin's rows to contract records."""
        return _chain(self.functions, rows)


@dataclass(frozen=True)
class Plan:
    """The keyed operators of a job with everything before, between and after them: what engines translate.

    It can be pickled: it holds parameters and module-level functions only.

    Attributes:
        name: The job's name.
        stages: The keyed operators, each after those that feed it.
        inlets: What comes from sources.
        links: What goes from stage to stage.
        outlets: What goes to sinks.
        dead_letters: The stream for records that break their contract.
        balance: The counters and gauges that must add up to `records_in`.
        tables: Where the job keeps tables and writes no streams: each with the column that it is partitioned by.
    """

    name: str
    stages: tuple[Stage, ...]
    inlets: tuple[Inlet, ...]
    links: tuple[Link, ...]
    outlets: tuple[Outlet, ...]
    dead_letters: str
    balance: tuple[str, ...]
    tables: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The streams read, in the topology's order."""
        return tuple(dict.fromkeys(inlet.stream for inlet in self.inlets))

    @property
    def sinks(self) -> tuple[str, ...]:
        """The streams written, or those whose tables are kept; dead letters last."""
        return (*dict.fromkeys(outlet.stream for outlet in self.outlets), self.dead_letters)

    @property
    def timed(self) -> frozenset[str]:
        """The source streams that the watermark follows; a stream of entities has no say in it."""
        return frozenset(inlet.stream for inlet in self.inlets if self.stage(inlet.stage).timed)

    @property
    def rounds(self) -> tuple[tuple[Stage, ...], ...]:
        """The stages of each round; those of one round run in the same task, in this order."""
        last = max(stage.round for stage in self.stages)
        return tuple(tuple(stage for stage in self.stages if stage.round == number) for number in range(last + 1))

    @property
    def fingerprint(self) -> dict[str, int | str | bool]:
        """The parameters that what is kept and what was written depend on, by `stage.parameter`."""
        of_stages = {
            f"{stage.id}.{name}": value
            for stage in self.stages
            for name, value in {"key": stage.key, **stage.operator.fingerprint, "state": stage.columns}.items()
        }
        ways: tuple[Link | Outlet, ...] = (*self.links, *self.outlets)
        of_functions = {
            f"{way.origin}.{name}": value
            for way in ways
            for function in way.functions
            for name, value in _committed(function).items()
        }
        return of_stages | of_functions

    def stage(self, id_: str) -> Stage:
        """A stage by its id."""
        return next(stage for stage in self.stages if stage.id == id_)

    def inlets_of(self, stream: str) -> tuple[Inlet, ...]:
        """Where the records of a source stream go."""
        return tuple(inlet for inlet in self.inlets if inlet.stream == stream)

    def links_of(self, stage: Stage) -> tuple[Link, ...]:
        """Where a stage's rows go on."""
        return tuple(link for link in self.links if link.origin == stage.id)

    def records(self, stage: Stage, outputs: Mapping[str, pa.Table]) -> Iterator[tuple[str, pa.Table]]:
        """A stage's outputs as contract records, by sink stream; those without rows are left out."""
        for outlet in self.outlets:
            if outlet.origin == stage.id and outputs[outlet.output].num_rows:
                yield outlet.stream, outlet.apply(outputs[outlet.output])


def compile_plan(topology: Topology) -> Plan:
    """Compiles a topology for the engines.

    Raises:
        AdstreamError: It has no keyed operator, or a sink hangs on something else.
    """
    stages: dict[str, Stage] = {}
    inlets: list[Inlet] = []
    links: list[Link] = []
    for process in (node for node in nodes(topology) if isinstance(node, Process)):
        key, round_ = process.upstream.column, 0
        for start, functions in paths(process.upstream.upstream):
            if isinstance(start, Source):
                inlets.append(Inlet(start.stream, functions, process.id))
            else:
                origin = stages[start.process.id]
                links.append(Link(origin.id, start.name, functions, process.id))
                round_ = max(round_, origin.round + (origin.key != key))
        stages[process.id] = Stage(process.id, key, process.operator, round_)
    if not stages:
        raise AdstreamError(
            f"topology '{topology.name}' has no keyed operator", "key its streams, and process them, before the sinks"
        )
    return Plan(
        name=topology.name,
        stages=tuple(sorted(stages.values(), key=lambda stage: stage.round)),
        inlets=tuple(inlets),
        links=tuple(links),
        outlets=tuple(_outlets(topology)),
        dead_letters=topology.dead_letters,
        balance=topology.balance,
        tables=tables(topology),
    )


Path: TypeAlias = tuple[Source | Output, tuple[BatchFunction, ...]]
"""Where rows come from, and the batch functions that they pass."""


@singledispatch
def paths(node: Node) -> Iterator[Path]:
    """Every path from a source, or from an output of a keyed operator, down to `node`."""
    raise AdstreamError(
        f"a {type(node).__name__} has no rows to pass on", "key right before an operator, and connect to its outputs"
    )


@paths.register(Source)
@paths.register(Output)
def _(node: Source | Output) -> Iterator[Path]:
    yield node, ()


@paths.register
def _(node: Map) -> Iterator[Path]:
    for start, functions in paths(node.upstream):
        yield start, (*functions, node.function)


@paths.register
def _(node: Merge) -> Iterator[Path]:
    for upstream in node.upstreams:
        yield from paths(upstream)


def _outlets(topology: Topology) -> Iterator[Outlet]:
    for sink in topology.sinks:
        for start, functions in paths(sink.upstream):
            if not isinstance(start, Output):
                raise AdstreamError(
                    f"the sink '{sink.stream}' hangs on the source '{start.stream}'",
                    "connect it to an output of a keyed operator, by way of maps and merges",
                )
            yield Outlet(start.process.id, start.name, functions, sink.stream)


def _chain(functions: tuple[BatchFunction, ...], table: pa.Table) -> pa.Table:
    for function in functions:
        table = function(table)
    return table


def _committed(function: object) -> Mapping[str, int | str | bool]:
    return function.fingerprint if isinstance(function, Committed) else {}
