"""Pictures of a topology: a Mermaid flowchart for people, JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import singledispatch
from typing import Any

from common.config.job import format_duration
from common.contracts.contract import Contract, load
from common.topology.graph import nodes, sinks, sources, tables, upstreams
from common.topology.nodes import KeyBy, Map, Merge, Node, Output, Process, Source, TableSink, Topology


@dataclass(frozen=True)
class Edge:
    """A flow of records.

    Attributes:
        start: The id of the node or stream it leaves.
        end: The id of the node or stream it enters.
        label: What flows, where that is not plain from the ends.
        side: Whether it is a side path: late events, dead letters.
    """

    start: str
    end: str
    label: str = ""
    side: bool = False


def to_mermaid(topology: Topology) -> str:
    """The topology as a Mermaid flowchart.

    Streams and tables are cylinders, keying is a hexagon, an operator a framed box.
    """
    lines = ["flowchart LR"]
    streams = (*sources(topology), *sinks(topology), *map(_table, tables(topology)))
    lines += [f'    {_name("stream", stream)}[("{stream}")]' for stream in streams]
    drawn = [node for node in nodes(topology) if not isinstance(node, Source | Output)]
    lines += [f"    {_name('node', identity(node))}{_box(node)}" for node in drawn]
    lines += [f"    {_arrow(edge, streams)}" for edge in edges(topology)]
    return "\n".join(lines) + "\n"


def to_json(topology: Topology) -> dict[str, Any]:
    """The topology as plain values: `job`, `streams`, `tables`, `nodes`, `edges`, `balance`."""
    written = sinks(topology)
    return {
        "job": topology.name,
        "streams": [
            _stream(load(stream), "written" if stream in written else "read")
            for stream in (*sources(topology), *written)
        ],
        "tables": [{"stream": stream, "partition": partition} for stream, partition in tables(topology).items()],
        "nodes": [
            {"id": identity(node), "type": type(node).__name__, "parameters": parameters(node)}
            for node in nodes(topology)
            if not isinstance(node, Source | Output)
        ],
        "edges": [
            {"from": edge.start, "to": edge.end, "label": edge.label, "side": edge.side} for edge in edges(topology)
        ],
        "balance": list(topology.balance),
    }


def edges(topology: Topology) -> Iterator[Edge]:
    """Every flow of records, sources first, dead letters last."""
    for node in nodes(topology):
        if not isinstance(node, Output):
            yield from (_edge(upstream, identity(node)) for upstream in upstreams(node))
    for sink in topology.sinks:
        label = "upserts, tombstones" if load(sink.stream).meta.tombstones else ""
        edge = _edge(sink.upstream, _table(sink.stream) if isinstance(sink, TableSink) else sink.stream)
        yield Edge(edge.start, edge.end, edge.label or label, edge.side)
    dead_letters = _table(topology.dead_letters) if tables(topology) else topology.dead_letters
    for stream in sources(topology):
        yield Edge(stream, dead_letters, "breaks its contract", side=True)


def _table(stream: str) -> str:
    """What the table of a stream is called in pictures."""
    return f"table {stream}"


def _edge(upstream: Node, end: str) -> Edge:
    if not isinstance(upstream, Output):
        return Edge(identity(upstream), end)
    main = next(iter(upstream.process.operator.outputs))
    return Edge(upstream.process.id, end, upstream.name, side=upstream.name != main)


@singledispatch
def identity(node: Node) -> str:
    """What a node is called in pictures."""
    raise TypeError(f"not a node of a topology: {node!r}")


@identity.register
def _(node: Source) -> str:
    return node.stream


@identity.register(Map)
@identity.register(Merge)
@identity.register(Process)
def _(node: Map | Merge | Process) -> str:
    return node.id


@identity.register
def _(node: KeyBy) -> str:
    return f"{identity(node.upstream)}-by-{node.column}"


@identity.register
def _(node: Output) -> str:
    return node.process.id


@singledispatch
def parameters(node: Node) -> dict[str, Any]:
    """What a node was built with, as plain values; durations in ms."""
    return {}


@parameters.register
def _(node: Map) -> dict[str, Any]:
    return {"function": _function(node), **_plain(node.function)}


@parameters.register
def _(node: KeyBy) -> dict[str, Any]:
    return {"column": node.column}


@parameters.register
def _(node: Process) -> dict[str, Any]:
    return {"operator": type(node.operator).__name__, **_plain(node.operator)}


@singledispatch
def _box(node: Node) -> str:
    raise TypeError(f"not drawn: {node!r}")


@_box.register
def _(node: Map) -> str:
    return f'["{node.id}"]'


@_box.register
def _(node: Merge) -> str:
    return f'(("{node.id}"))'


@_box.register
def _(node: KeyBy) -> str:
    return f'{{{{"by {node.column}"}}}}'


@_box.register
def _(node: Process) -> str:
    shown = " · ".join(parameters_for_people(node.operator))
    return f'[["<b>{node.id}</b><br/>{shown}"]]' if shown else f'[["<b>{node.id}</b>"]]'


def _arrow(edge: Edge, streams: Collection[str]) -> str:
    start, end = (_name("stream" if name in streams else "node", name) for name in (edge.start, edge.end))
    line = "-.->" if edge.side else "-->"
    return f'{start} {line}|"{edge.label}"| {end}' if edge.label else f"{start} {line} {end}"


def _name(kind: str, name: str) -> str:
    """A name that Mermaid takes; streams and nodes may share names, so the kind is part of it."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"


def _function(node: Map) -> str:
    function = node.function
    return getattr(function, "__qualname__", type(function).__qualname__)


def _plain(value: object) -> dict[str, Any]:
    """The fields of a dataclass that are plain values."""
    return {name: item for name, item, _ in _fields(value)}


def parameters_for_people(operator: object) -> Iterator[str]:
    """The parameters of an operator, such as `gap 30m`; a field says by its metadata when it is a duration."""
    for name, item, unit in _fields(operator):
        yield f"{name} {format_duration(item) if unit == 'ms' else _word(item)}"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fields(value: object) -> Iterator[tuple[str, Any, str | None]]:
    """The plain values in a dataclass, and in those that it is composed of: name, value and unit."""
    for field in fields(value) if is_dataclass(value) else ():
        item = getattr(value, field.name)
        if isinstance(item, bool | int | float | str):
            yield field.name, item, field.metadata.get("unit")
        else:
            yield from _fields(item)


def _stream(contract: Contract, use: str) -> dict[str, Any]:
    return {
        "stream": contract.stream,
        "version": contract.version,
        "use": use,
        "owner": contract.meta.owner,
        "namespace": contract.meta.namespace,
        "kind": contract.meta.kind,
        "tombstones": contract.meta.tombstones,
    }
