"""A topology seen as a graph: its distinct nodes, and what each hangs on."""

from __future__ import annotations

from functools import singledispatch

from common.topology.nodes import KeyBy, Map, Merge, Node, Output, Process, Source, TableSink, Topology


@singledispatch
def upstreams(node: Node) -> tuple[Node, ...]:
    """What a node hangs on."""
    raise TypeError(f"not a node of a topology: {node!r}")


@upstreams.register
def _(node: Source) -> tuple[Node, ...]:
    return ()


@upstreams.register(Map)
@upstreams.register(KeyBy)
@upstreams.register(Process)
def _(node: Map | KeyBy | Process) -> tuple[Node, ...]:
    return (node.upstream,)


@upstreams.register
def _(node: Merge) -> tuple[Node, ...]:
    return node.upstreams


@upstreams.register
def _(node: Output) -> tuple[Node, ...]:
    return (node.process,)


def nodes(topology: Topology) -> tuple[Node, ...]:
    """The distinct nodes of a topology, each after those it hangs on. Equal nodes are one node."""
    found: list[Node] = []
    for sink in topology.sinks:
        _collect(sink.upstream, found)
    return tuple(found)


def sources(topology: Topology) -> tuple[str, ...]:
    """The streams that a topology reads."""
    return tuple(node.stream for node in nodes(topology) if isinstance(node, Source))


def sinks(topology: Topology) -> tuple[str, ...]:
    """The streams that a topology writes, dead letters last; none where it keeps tables."""
    if tables(topology):
        return ()
    return (*(sink.stream for sink in topology.sinks), topology.dead_letters)


def tables(topology: Topology) -> dict[str, str]:
    """The tables that a topology keeps, dead letters last, each with the column that it is partitioned by."""
    found = {sink.stream: sink.partition for sink in topology.sinks if isinstance(sink, TableSink)}
    return {**found, topology.dead_letters: ""} if found else {}


def _collect(node: Node, found: list[Node]) -> None:
    if node in found:
        return
    for upstream in upstreams(node):
        _collect(upstream, found)
    found.append(node)
