"""The graph for people and programs: plain text, a Mermaid flowchart, JSON. The page is in `page.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from common.lineage.findings import Hop, crossings, findings, hops
from common.lineage.graph import TAGS, Edge, Job, Lineage, Node, Stream

STARTED = {
    "topology": "adstream run {name}",
    "liberation": "adstream liberate {stream}",
    "connector": "adstream services connector {job}",
    "outbox": "adstream outbox publish",
}
"""How a job of each kind is started."""


def to_text(lineage: Lineage) -> str:
    """Jobs, streams, team boundaries, paths of tagged data and findings, a line each."""
    sections = {
        "jobs": [_job_line(job) for job in lineage.jobs],
        "streams": [_stream_line(lineage, stream) for stream in lineage.streams],
        "team boundaries": [
            f"{each.stream} of {each.owner} → {each.reader or 'tools'} of {each.team}" for each in crossings(lineage)
        ],
        **{f"{tag} paths": [hop_line(hop) for hop in hops(lineage, tag)] for tag in TAGS},
        "findings": [f"{each.kind} {each.subject}: {each.text}" for each in findings(lineage)],
    }
    blocks = ("\n".join([name, *(f"  {line}" for line in lines or ["none"])]) for name, lines in sections.items())
    return "\n\n".join(blocks) + "\n"


def to_json(lineage: Lineage) -> dict[str, Any]:
    """The graph as plain values: `jobs`, `streams`, `boundaries`, `paths` by tag, `findings`."""
    return {
        "jobs": [{**asdict(job), "start": started(job)} for job in lineage.jobs],
        "streams": [
            {
                **asdict(stream),
                "writers": [job.name for job in lineage.writers(stream.name)],
                "readers": [job.name for job in lineage.readers(stream.name)],
            }
            for stream in lineage.streams
        ],
        "boundaries": [asdict(crossing) for crossing in crossings(lineage)],
        "paths": {tag: [asdict(hop) for hop in hops(lineage, tag)] for tag in TAGS},
        "findings": [asdict(finding) for finding in findings(lineage)],
    }


def to_mermaid(lineage: Lineage) -> str:
    """A Mermaid flowchart: a box a team, streams as cylinders, jobs as framed boxes, boundaries as thick arrows.

    Streams with personal data are red, with money yellow, deprecated ones dashed. Paths of dead letters are dotted.
    """
    owners = {Node("job", job.name): job.owner for job in lineage.jobs}
    owners |= {Node("stream", stream.name): stream.owner for stream in lineage.streams}
    lines = ["flowchart LR"]
    for team in sorted(set(owners.values())):
        lines.append(f'    subgraph {_id("team_box", team)}["{team}"]')
        lines += [f"        {_shape(node)}" for node in owners if owners[node] == team]
        lines.append("    end")
    edges = lineage.edges()
    outside = sorted({node for edge in edges for node in (edge.start, edge.end)} - owners.keys())
    lines += [f"    {_shape(node)}" for node in outside]
    lines += [f"    {_arrow(edge, owners)}" for edge in edges]
    lines += [f"    {line}" for line in _classes(lineage)]
    return "\n".join(lines) + "\n"


def started(job: Job) -> str:
    """The command that starts a job."""
    names = {"name": job.name, "stream": next(iter(job.writes), ""), "job": job.name.partition("-")[2]}
    return STARTED[job.kind].format(**names)


def hop_line(hop: Hop) -> str:
    """A hop of tagged data, on one line."""
    fields = ", ".join(hop.fields) or "no field has the tag"
    into = ", ".join(hop.into) or "no field has the tag"
    across = ", another team" if hop.crosses else ""
    return f"{hop.stream} ({fields}) → {hop.job} → {hop.target} ({into}){across}"


def _job_line(job: Job) -> str:
    reads = ", ".join([*(f"table {table}" for table in job.tables), *job.reads]) or "what applications write"
    kept = (f"table {stream}" for stream in job.keeps)
    writes = ", ".join([*job.writes, *kept, *(["any stream"] if job.any_stream else [])])
    return f"{job.name} ({job.owner}): {reads} → {writes}"


def _stream_line(lineage: Lineage, stream: Stream) -> str:
    writers = ", ".join(job.name for job in lineage.writers(stream.name))
    letters = "every job" if any(job.dead_letters == stream.name for job in lineage.jobs) else ""
    readers = [job.name for job in lineage.readers(stream.name)] + [f"team {name}" for name in stream.consumers]
    tags = [f"{tag} {', '.join(stream.tagged(tag))}" for tag in TAGS if stream.tagged(tag)]
    notes = "; ".join([*tags, *(["deprecated"] if stream.deprecated is not None else [])])
    flow = f"{writers or letters or 'from outside'} → {', '.join(readers) or 'nobody'}"
    return f"{stream.name} ({stream.owner}): {flow}{f' [{notes}]' if notes else ''}"


def _shape(node: Node) -> str:
    opening, closing = {
        "table": ('[("table ', '")]'),
        "stream": ('[("', '")]'),
        "job": ('[["', '"]]'),
        "kept": ('[("kept table ', '")]'),
        "team": ('(["team ', '"])'),
    }[node.kind]
    return f"{_id(node.kind, node.name)}{opening}{node.name}{closing}"


def _arrow(edge: Edge, owners: dict[Node, str]) -> str:
    """An arrow, thick from one team to another, dotted to dead letters."""
    start, end = owners.get(edge.start), owners.get(edge.end)
    line = "-.->" if edge.side else "==>" if start and end and start != end else "-->"
    return f"{_id(edge.start.kind, edge.start.name)} {line} {_id(edge.end.kind, edge.end.name)}"


def _classes(lineage: Lineage) -> Iterator[str]:
    styles = {
        "pii": "stroke:#c62828,stroke-width:2px",
        "financial": "stroke:#b28704,stroke-width:2px",
        "deprecated": "stroke-dasharray:4",
    }
    for name, style in styles.items():
        found = [
            _id("stream", stream.name)
            for stream in lineage.streams
            if (stream.deprecated is not None if name == "deprecated" else getattr(stream, name))
        ]
        if found:
            yield f"classDef {name} {style}"
            yield f"class {','.join(found)} {name}"


def _id(kind: str, name: str) -> str:
    """A name that Mermaid takes."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"
