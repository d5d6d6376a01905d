"""The graph as one page that needs nothing beside it: a picture, and tables of all that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

from common.lineage.findings import crossings, findings, hops
from common.lineage.graph import TAGS, Edge, Job, Lineage, Node, Stream
from common.lineage.layout import Layout, Place, layout
from common.lineage.render import hop_line, started

_COLUMN, _ROW, _WIDTH, _HEIGHT = 250, 58, 190, 42
"""Pixels of the picture: between columns, between rows, and of a box."""


def to_html(lineage: Lineage, title: str = "Lineage") -> str:
    """The page.

    Args:
        lineage: The graph.
        title: What the page is called.
    """
    teams = {job.owner for job in lineage.jobs} | {stream.owner for stream in lineage.streams}
    page = Template(files("common.lineage").joinpath("page.html").read_text(encoding="utf-8"))
    lead = f"{len(lineage.jobs)} jobs, {len(lineage.streams)} streams, {len(teams)} teams"
    return page.substitute(
        title=escape(title), lead=lead, picture=_picture(lineage), tables="\n".join(_tables(lineage))
    )


def _picture(lineage: Lineage) -> str:
    """Boxes and lines; the streams of dead letters are left out, as every job has them."""
    edges = [edge for edge in lineage.edges() if not edge.side]
    nodes = list(dict.fromkeys(node for edge in edges for node in (edge.start, edge.end)))
    drawn = layout(nodes, [(edge.start, edge.end) for edge in edges])
    taken = [*drawn.places.values(), *(place for way in drawn.ways.values() for place in way)]
    width = max((column for column, _ in taken), default=0) * _COLUMN + _WIDTH + 4
    height = max((row for _, row in taken), default=0) * _ROW + _HEIGHT + 4
    owners = {Node("job", job.name): job.owner for job in lineage.jobs}
    owners |= {Node("stream", stream.name): stream.owner for stream in lineage.streams}
    lines = [_line(edge, drawn, owners) for edge in edges]
    boxes = [_box(lineage, node, drawn.places[node], owners.get(node, "")) for node in nodes]
    return (
        f'<svg role="img" aria-label="jobs and streams" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{"".join(lines)}{"".join(boxes)}</svg>'
    )


def _line(edge: Edge, drawn: Layout, owners: Mapping[Node, str]) -> str:
    """A line through the free places on its way, level while it passes a column."""
    x, y = _left(drawn.places[edge.start])
    path = f"M{x + _WIDTH} {y}"
    x += _WIDTH
    for place in (*drawn.ways[edge.start, edge.end], drawn.places[edge.end]):
        left, level = _left(place)
        bend = (left - x) // 2
        path += f"C{x + bend} {y} {left - bend} {level} {left} {level}"
        x, y = left + _WIDTH, level
        path += f"H{x}" if place != drawn.places[edge.end] else ""
    crosses = edge.start in owners and edge.end in owners and owners[edge.start] != owners[edge.end]
    kind = ' class="boundary"' if crosses else ""
    return f'<path{kind} d="{path}"/>'


def _left(place: Place) -> tuple[int, int]:
    """The middle of the left side of a place, in pixels."""
    return place[0] * _COLUMN + 2, place[1] * _ROW + _HEIGHT // 2 + 2


def _box(lineage: Lineage, node: Node, place: Place, owner: str) -> str:
    x, y = place[0] * _COLUMN + 2, place[1] * _ROW + 2
    classes, round_ = ["node", node.kind], 4 if node.kind == "job" else 14
    if node.kind in {"stream", "kept"}:  # a table has the fields of its stream
        stream = lineage.stream(node.name)
        classes += [tag for tag in reversed(TAGS) if stream.tagged(tag)]
        classes += ["deprecated"] if stream.deprecated is not None else []
    below = owner or {"table": "table of a database", "kept": "table that is kept", "team": "team"}[node.kind]
    body = (
        f'<g class="{" ".join(classes)}"><title>{escape(f"{node.kind} {node.name}, {below}")}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="{round_}"/>'
        f'<text x="{x + 10}" y="{y + 18}">{escape(node.name)}</text>'
        f'<text class="team" x="{x + 10}" y="{y + 33}">{escape(below)}</text></g>'
    )
    return f'<a href="#{_anchor(node)}">{body}</a>' if node.kind in {"job", "stream"} else body


def _tables(lineage: Lineage) -> Iterator[str]:
    yield _table("Findings", ("", "of", "what"), ((f.kind, f.subject, f.text) for f in findings(lineage)))
    yield "<h2>Jobs</h2>" + _rows(("job", "team", "reads", "writes", "started with"), map(_job_row, lineage.jobs))
    yield "<h2>Streams</h2>" + _rows(
        ("stream", "team", "written by", "read by", "fields that need care"),
        (_stream_row(lineage, stream) for stream in lineage.streams),
    )
    yield _table(
        "Team boundaries",
        ("stream", "of", "read by", "of"),
        ((each.stream, each.owner, each.reader or "tools of its own", each.team) for each in crossings(lineage)),
    )
    for tag, title in zip(TAGS, ("Paths of personal data", "Paths of money"), strict=True):
        yield _table(title, ("from, through, into",), ((hop_line(hop),) for hop in hops(lineage, tag)))


def _job_row(job: Job) -> str:
    reads = [*(escape(f"table {table}") for table in job.tables), *(_link("stream", name) for name in job.reads)]
    writes = [_link("stream", name) for name in (*job.writes, *filter(None, [job.dead_letters]))]
    writes += [escape(f"table {name}") for name in job.keeps]
    cells = (escape(job.name), escape(job.owner), ", ".join(reads), ", ".join(writes))
    return _row((*cells, f"<code>{escape(started(job))}</code>"), _anchor(Node("job", job.name)))


def _stream_row(lineage: Lineage, stream: Stream) -> str:
    writers = ", ".join(_link("job", job.name) for job in lineage.writers(stream.name))
    readers = [_link("job", job.name) for job in lineage.readers(stream.name)]
    readers += [escape(f"team {team}") for team in stream.consumers]
    care = [
        f'<span class="{tag}">{tag}: {escape(", ".join(stream.tagged(tag)))}</span>'
        for tag in TAGS
        if stream.tagged(tag)
    ]
    care += [f"deprecated: {escape(stream.deprecated)}"] if stream.deprecated is not None else []
    cells = (escape(stream.name), escape(stream.owner), writers, ", ".join(readers), "<br>".join(care))
    return _row(cells, _anchor(Node("stream", stream.name)))


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [_row([escape(cell) for cell in row]) for row in rows]
    return f"<h2>{escape(title)}</h2>" + (_rows(head, body) if body else "<p>none</p>")


def _rows(head: Sequence[str], body: Iterable[str]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _row(cells: Iterable[str], anchor: str = "") -> str:
    name = f' id="{anchor}"' if anchor else ""
    return f"<tr{name}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _link(kind: str, name: str) -> str:
    return f'<a href="#{kind}-{escape(name)}">{escape(name)}</a>'


def _anchor(node: Node) -> str:
    return escape(f"{node.kind}-{node.name}")
