"""The streams, jobs and teams of the suite as a value, and what can be asked of it. Pure: nothing is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from common.names import pick

Tag = Literal["pii", "financial"]
TAGS: tuple[Tag, ...] = get_args(Tag)
Kind = Literal["topology", "liberation", "connector", "outbox"]
"""A folder of `jobs`; `adstream liberate`; a connector of Kafka Connect; `adstream outbox`."""


@dataclass(frozen=True, order=True)
class Node:
    """A place in the graph.

    Attributes:
        kind: `table` of a database, `stream`, `job`, table that is `kept` of a stream, or `team` that reads with tools
            of its own.
        name: Its name among those of its kind.
    """

    kind: Literal["table", "stream", "job", "kept", "team"]
    name: str


@dataclass(frozen=True)
class Edge:
    """A flow of records.

    Attributes:
        start: Where it comes from.
        end: Where it goes.
        side: Whether it is that of dead letters, which every job has.
    """

    start: Node
    end: Node
    side: bool = False


@dataclass(frozen=True)
class Stream:
    """What lineage knows of a stream; the attributes are those of its contract.

    Attributes:
        pii: The fields that name or describe a person.
        financial: The fields that money depends on.
        consumers: The teams that read it with tools of their own.
        deprecated: Why it should no longer be used; None if it may be.
    """

    name: str
    owner: str
    version: int
    kind: str
    pii: tuple[str, ...] = ()
    financial: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    deprecated: str | None = None

    def tagged(self, tag: Tag) -> tuple[str, ...]:
        """Its fields that have a tag."""
        return {"pii": self.pii, "financial": self.financial}[tag]


@dataclass(frozen=True)
class Job:
    """Whatever moves records.

    Attributes:
        name: Its name, as a broker knows it.
        kind: How it is started.
        owner: The team that answers for it.
        reads: The streams it reads.
        writes: The streams it writes, dead letters not among them.
        tables: The tables of a database that it reads.
        keeps: The streams that it keeps tables of.
        dead_letters: The stream for records that break their contract; empty for none.
        any_stream: Whether it also writes whatever stream applications name.
    """

    name: str
    kind: Kind
    owner: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    dead_letters: str = ""
    any_stream: bool = False


@dataclass(frozen=True)
class Lineage:
    """All streams and jobs, each by name once.

    Attributes:
        streams: Those that have a contract.
        jobs: Those that read or write them; the streams they name are all among `streams`.
    """

    streams: tuple[Stream, ...]
    jobs: tuple[Job, ...]

    def stream(self, name: str) -> Stream:
        """A stream by name.

        Raises:
            AdstreamError: There is none.
        """
        pick("stream", name, (stream.name for stream in self.streams))
        return next(stream for stream in self.streams if stream.name == name)

    def job(self, name: str) -> Job:
        """A job by name.

        Raises:
            AdstreamError: There is none.
        """
        pick("job", name, (job.name for job in self.jobs))
        return next(job for job in self.jobs if job.name == name)

    def readers(self, stream: str) -> tuple[Job, ...]:
        """The jobs that read a stream."""
        return tuple(job for job in self.jobs if stream in job.reads)

    def writers(self, stream: str) -> tuple[Job, ...]:
        """The jobs that write a stream, other than as their dead letters."""
        return tuple(job for job in self.jobs if stream in job.writes)

    def edges(self) -> tuple[Edge, ...]:
        """Every flow of records."""
        return tuple(self._edges())

    def around(self, node: Node) -> Lineage:
        """What is upstream and downstream of a job or stream, and it itself.

        What flows into a job that is downstream from elsewhere is left out, and so is what flows out of one upstream:
        of those, only what leads to the node or comes from it remains.

        Raises:
            AdstreamError: There is no such job or stream.
        """
        (self.job if node.kind == "job" else self.stream)(node.name)
        flows = [edge for edge in self.edges() if not edge.side]
        near = _reached(node, flows, lambda edge: (edge.start, edge.end)) | _reached(
            node, flows, lambda edge: (edge.end, edge.start)
        )
        names = {kind: {found.name for found in near if found.kind == kind} for kind in ("stream", "job")}
        if node.kind == "job":
            names["stream"].add(self.job(node.name).dead_letters)
        streams = tuple(stream for stream in self.streams if stream.name in names["stream"])
        jobs = tuple(_within(job, names["stream"]) for job in self.jobs if job.name in names["job"])
        return Lineage(streams, jobs)

    def _edges(self) -> Iterator[Edge]:
        for job in self.jobs:
            here = Node("job", job.name)
            yield from (Edge(Node("table", table), here) for table in job.tables)
            yield from (Edge(Node("stream", stream), here) for stream in job.reads)
            yield from (Edge(here, Node("stream", stream)) for stream in job.writes)
            yield from (Edge(here, Node("kept", stream)) for stream in job.keeps)
            if job.dead_letters:
                yield Edge(here, Node("stream", job.dead_letters), side=True)
        for stream in self.streams:
            yield from (Edge(Node("stream", stream.name), Node("team", team)) for team in stream.consumers)


def _reached(start: Node, flows: list[Edge], ends: Callable[[Edge], tuple[Node, Node]]) -> set[Node]:
    """All that is reached from a node along flows, or against them."""
    found, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        for here, there in map(ends, flows):
            if here == node and there not in found:
                found.add(there)
                waiting.append(there)
    return found


def _within(job: Job, streams: set[str]) -> Job:
    """A job, with only those of its streams that are looked at."""
    return replace(
        job,
        reads=tuple(stream for stream in job.reads if stream in streams),
        writes=tuple(stream for stream in job.writes if stream in streams),
        keeps=tuple(stream for stream in job.keeps if stream in streams),
        dead_letters=job.dead_letters if job.dead_letters in streams else "",
    )
