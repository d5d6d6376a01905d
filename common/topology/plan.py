"""A topology compiled into what engines run: read, shuffle by bucket, step, write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatch

import pyarrow as pa

from common.errors import AdstreamError
from common.operators.step import Operator
from common.topology.nodes import BatchFunction, Map, Merge, Node, Output, Process, Source, Topology


@dataclass(frozen=True)
class Inlet:
    """A source stream and the batch functions between it and the keyed operator."""

    stream: str
    functions: tuple[BatchFunction, ...]

    def apply(self, records: pa.Table) -> pa.Table:
        """Contract records to the operator's events."""
        return _chain(self.functions, records)


@dataclass(frozen=True)
class Outlet:
    """An output of the keyed operator, the batch functions after it, and the stream it is written to."""

    output: str
    functions: tuple[BatchFunction, ...]
    stream: str

    def apply(self, rows: pa.Table) -> pa.Table:
        """The operator's rows to contract records."""
        return _chain(self.functions, rows)


@dataclass(frozen=True)
class Plan:
    """One keyed operator with everything before and after it: the unit that engines translate.

    It can be pickled: it holds parameters and module-level functions only.
    """

    name: str
    inlets: tuple[Inlet, ...]
    key: str
    process_id: str
    operator: Operator
    outlets: tuple[Outlet, ...]
    dead_letters: str
    balance: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The streams read, in the topology's order."""
        return tuple(inlet.stream for inlet in self.inlets)

    @property
    def sinks(self) -> tuple[str, ...]:
        """The streams written, dead letters last."""
        return (*(outlet.stream for outlet in self.outlets), self.dead_letters)

    def inlet(self, stream: str) -> Inlet:
        """The inlet of a source stream."""
        return next(inlet for inlet in self.inlets if inlet.stream == stream)

    def records(self, outputs: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """The operator's outputs as contract records, by sink stream."""
        return {outlet.stream: outlet.apply(outputs[outlet.output]) for outlet in self.outlets}


def compile_plan(topology: Topology) -> Plan:
    """Compiles a topology for the engines.

    Raises:
        AdstreamError: It does not have exactly one keyed operator, or a sink hangs on something else.
    """
    outlets = []
    processes: list[Process] = []
    for sink in topology.sinks:
        output, functions = _downstream(sink.upstream)
        if output.process not in processes:
            processes.append(output.process)
        outlets.append(Outlet(output.name, functions, sink.stream))
    if len(processes) != 1:
        ids = ", ".join(process.id for process in processes) or "none"
        raise AdstreamError(
            f"topology '{topology.name}': engines run one keyed operator a job, this has {len(processes)} ({ids})",
            "split it into jobs with a stream in between",
        )
    process = processes[0]
    return Plan(
        name=topology.name,
        inlets=tuple(inlets(process.upstream.upstream)),
        key=process.upstream.column,
        process_id=process.id,
        operator=process.operator,
        outlets=tuple(outlets),
        dead_letters=topology.dead_letters,
        balance=topology.balance,
    )


@singledispatch
def inlets(node: Node) -> Iterator[Inlet]:
    """Every path from a source down to `node`."""
    raise AdstreamError(f"a {type(node).__name__} can't stand before a keyed operator", "key once, before the operator")


@inlets.register
def _(node: Source) -> Iterator[Inlet]:
    yield Inlet(node.stream, ())


@inlets.register
def _(node: Map) -> Iterator[Inlet]:
    for inlet in inlets(node.upstream):
        yield Inlet(inlet.stream, (*inlet.functions, node.function))


@inlets.register
def _(node: Merge) -> Iterator[Inlet]:
    for upstream in node.upstreams:
        yield from inlets(upstream)


def _downstream(node: Node) -> tuple[Output, tuple[BatchFunction, ...]]:
    functions: tuple[BatchFunction, ...] = ()
    while isinstance(node, Map):
        functions = (node.function, *functions)
        node = node.upstream
    if not isinstance(node, Output):
        raise AdstreamError(
            f"a sink hangs on a {type(node).__name__}", "connect it to an output of a keyed operator, by way of maps"
        )
    return node, functions


def _chain(functions: tuple[BatchFunction, ...], table: pa.Table) -> pa.Table:
    for function in functions:
        table = function(table)
    return table
