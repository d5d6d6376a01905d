"""What a platform team wants to know of the graph: team boundaries, paths of tagged data, and what looks forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from common.lineage.graph import Job, Lineage, Stream, Tag

FindingKind = Literal["deprecated", "orphaned stream", "orphaned job", "several writers"]

TRACED_BACK: frozenset[Tag] = frozenset({"financial"})
"""Tags of which also matters what the tagged fields depend on, and not only where they go."""


@dataclass(frozen=True)
class Crossing:
    """A stream of one team that another team reads: a change of it is between the two.

    Attributes:
        stream: The stream.
        owner: The team that answers for it.
        reader: The job that reads it; empty for a team that does so with tools of its own.
        team: The team that reads it.
    """

    stream: str
    owner: str
    reader: str
    team: str


@dataclass(frozen=True)
class Hop:
    """Tagged data that a job may carry on.

    Attributes:
        tag: The tag.
        stream: The stream that the job reads.
        fields: Its fields that have the tag.
        job: The job.
        target: A stream that it writes, or a table that it keeps.
        into: The fields of the target that have the tag; none where the tag ends.
        crosses: Whether the target belongs to another team than the stream.
    """

    tag: Tag
    stream: str
    fields: tuple[str, ...]
    job: str
    target: str
    into: tuple[str, ...]
    crosses: bool


@dataclass(frozen=True)
class Finding:
    """Something that somebody should look at; it need not be wrong.

    Attributes:
        kind: What it is about.
        subject: The job or stream.
        text: What was found, and what to do about it.
    """

    kind: FindingKind
    subject: str
    text: str


def crossings(lineage: Lineage) -> tuple[Crossing, ...]:
    """Every stream that leaves its team, by stream."""
    return tuple(
        crossing
        for stream in lineage.streams
        for crossing in (
            *(Crossing(stream.name, stream.owner, job.name, job.owner) for job in lineage.readers(stream.name)),
            *(Crossing(stream.name, stream.owner, "", team) for team in stream.consumers),
        )
        if crossing.team != crossing.owner
    )


def hops(lineage: Lineage, tag: Tag) -> tuple[Hop, ...]:
    """The ways that tagged data may take: from each tagged stream, through each of its readers.

    Money is traced back, too: what flows into a stream with financial fields is among the hops. Which field becomes
    which only the code of a job knows, so a hop to a stream without the tag is told, too.
    """
    return tuple(
        hop
        for stream in lineage.streams
        for job in lineage.readers(stream.name)
        for hop in (*_streamed(lineage, tag, stream, job), *_kept(tag, stream, job))
    )


def _streamed(lineage: Lineage, tag: Tag, stream: Stream, job: Job) -> Iterator[Hop]:
    """The hops into streams."""
    fields = stream.tagged(tag)
    for target in map(lineage.stream, job.writes):
        if fields or (tag in TRACED_BACK and target.tagged(tag)):
            crosses = target.owner != stream.owner
            yield Hop(tag, stream.name, fields, job.name, target.name, target.tagged(tag), crosses)


def _kept(tag: Tag, stream: Stream, job: Job) -> Iterator[Hop]:
    """The hop into a table that is kept of the stream: it has the same fields, and belongs to who keeps it."""
    fields = stream.tagged(tag)
    if fields and stream.name in job.keeps:
        yield Hop(tag, stream.name, fields, job.name, f"table {stream.name}", fields, job.owner != stream.owner)


def findings(lineage: Lineage) -> tuple[Finding, ...]:
    """All that was found, by kind."""
    return (
        *_deprecated(lineage),
        *_several_writers(lineage),
        *_orphaned_streams(lineage),
        *_orphaned_jobs(lineage),
    )


def results(lineage: Lineage, job: Job) -> tuple[str, ...]:
    """What a job is there for: of the streams that it writes, those of its own team.

    The others belong to the suite's operation: late events, or what no rule has routed.
    """
    return tuple(stream for stream in job.writes if lineage.stream(stream).owner == job.owner)


def is_read(lineage: Lineage, stream: str) -> bool:
    """Whether any job or team reads a stream."""
    return bool(lineage.readers(stream) or lineage.stream(stream).consumers)


def _deprecated(lineage: Lineage) -> Iterator[Finding]:
    for stream in lineage.streams:
        readers = [job.name for job in lineage.readers(stream.name)] + [f"team {name}" for name in stream.consumers]
        if stream.deprecated is not None and readers:
            text = f"deprecated, and still read by {', '.join(readers)}: {stream.deprecated}"
            yield Finding("deprecated", stream.name, text)


def _several_writers(lineage: Lineage) -> Iterator[Finding]:
    """A stream that none of its writers' teams owns is the operation's, such as late events: many jobs write it."""
    for stream in lineage.streams:
        writers = lineage.writers(stream.name)
        if len(writers) > 1 and any(job.owner == stream.owner for job in writers):
            names = ", ".join(job.name for job in writers)
            yield Finding("several writers", stream.name, f"written by {names}: run only one of them at a time")


def _orphaned_streams(lineage: Lineage) -> Iterator[Finding]:
    for stream in lineage.streams:
        if not is_read(lineage, stream.name):
            text = f"no job reads it: name its readers outside as 'consumers' in its stream.yaml, or ask {stream.owner}"
            yield Finding("orphaned stream", stream.name, text)


def _orphaned_jobs(lineage: Lineage) -> Iterator[Finding]:
    for job in lineage.jobs:
        own = results(lineage, job)
        if own and not any(is_read(lineage, stream) for stream in own):
            yield Finding("orphaned job", job.name, f"nobody reads what it makes ({', '.join(own)})")
