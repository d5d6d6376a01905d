"""A topology as a picture of streams and operators: what flows between them, and where each stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from common.topology.graph import sinks, sources, tables, upstreams
from common.topology.nodes import KeyBy, Node, Output, Source, Topology
from common.topology.render import parameters_for_people

SWEEPS = 12
"""How often the layers are ordered anew, forth and back; pictures of a dozen boxes settle in half of them."""

Place = tuple[int, float]
"""The layer, from the left, and the height of a box: 1 is the distance of two neighbours."""


@dataclass(frozen=True)
class Box:
    """A stream or an operator.

    Attributes:
        name: What it is called.
        kind: `read`, `written` or `operator`.
        notes: The operator's parameters.
    """

    name: str
    kind: str
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """A stream and an operator may share a name."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Link:
    """A flow of records between two boxes, named by their ids.

    Attributes:
        label: The column that it is keyed by, or what the output is called.
        side: Whether it is a side path: late events, dead letters.
    """

    start: str
    end: str
    label: str = ""
    side: bool = False


@dataclass(frozen=True)
class Picture:
    """Boxes with their places, and the points that each link passes."""

    boxes: Mapping[str, Box]
    places: Mapping[str, Place]
    routes: Mapping[Link, tuple[Place, ...]] = field(default_factory=dict)


def picture(topology: Topology) -> Picture:
    """The streams and operators of a topology, laid out from left to right; functions between them are left out."""
    boxes, links = _flow(topology)
    return laid_out(boxes, links)


def laid_out(boxes: Sequence[Box], links: Sequence[Link]) -> Picture:
    """Puts every box to the right of those that flow into it, with few crossings.

    A link that passes layers gets a place of its own in each of them, so that it crosses no box.

    Args:
        boxes: At least one.
        links: Between these boxes, without a circle.
    """
    layer = _layers([box.id for box in boxes], links)
    paths = {link: _path(link, layer) for link in links}
    columns: list[list[str]] = [[] for _ in range(max(layer.values()) + 1)]
    for box in boxes:
        columns[layer[box.id]].append(box.id)
    for path in paths.values():
        for stop in path[1:-1]:
            columns[_layer_of(stop, layer)].append(stop)
    before, after = _neighbours(paths.values())
    heights = {stop: float(place) for column in columns for place, stop in enumerate(column)}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for column in columns if forth else reversed(columns):
            _settle(column, before if forth else after, heights)
    places = {stop: (_layer_of(stop, layer), height) for stop, height in heights.items()}
    return Picture(
        {box.id: box for box in boxes},
        {box.id: places[box.id] for box in boxes},
        {link: tuple(places[stop] for stop in path) for link, path in paths.items()},
    )


def _flow(topology: Topology) -> tuple[list[Box], list[Link]]:
    read, written = sources(topology), sinks(topology) or tuple(tables(topology))
    boxes = [Box(stream, "read") for stream in read]
    links: list[Link] = []
    for sink in topology.sinks:
        _walk(sink.upstream, f"written:{sink.stream}", boxes, links)
    boxes += [Box(stream, "written") for stream in written]
    links += [Link(f"read:{stream}", f"written:{topology.dead_letters}", side=True) for stream in read]
    return boxes, list(dict.fromkeys(links))


def _walk(node: Node, end: str, boxes: list[Box], links: list[Link], label: str = "") -> None:
    """Adds the links that end in a box, and all that is before them."""
    if isinstance(node, Source):
        links.append(Link(f"read:{node.stream}", end, label))
    elif isinstance(node, Output):
        operator = node.process.operator
        box = Box(node.process.id, "operator", tuple(parameters_for_people(operator)))
        side = node.name != next(iter(operator.outputs))
        links.append(Link(box.id, end, label or (node.name if side else ""), side))
        if box not in boxes:
            boxes.append(box)
            _walk(node.process, box.id, boxes, links)
    else:
        by = node.column if isinstance(node, KeyBy) else ""
        for upstream in upstreams(node):
            _walk(upstream, end, boxes, links, label or by)


def _layers(ids: Sequence[str], links: Sequence[Link]) -> dict[str, int]:
    """How many links lead to each box at most; what only side paths reach stands as far left as it can."""
    layer = dict.fromkeys(ids, 0)
    for _ in ids:
        for link in links:
            layer[link.end] = max(layer[link.end], layer[link.start] + 1)
    return layer


def _path(link: Link, layer: Mapping[str, int]) -> list[str]:
    between = range(layer[link.start] + 1, layer[link.end])
    return [link.start, *(f"{at}|{link.start}|{link.end}|{link.label}" for at in between), link.end]


def _layer_of(stop: str, layer: Mapping[str, int]) -> int:
    return layer[stop] if stop in layer else int(stop.partition("|")[0])


def _neighbours(paths: Iterable[list[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for path in paths:
        for one, other in pairwise(path):
            before.setdefault(other, []).append(one)
            after.setdefault(one, []).append(other)
    return before, after


def _settle(column: list[str], neighbours: Mapping[str, list[str]], heights: dict[str, float]) -> None:
    """Orders a layer by the mean height of each place's neighbours, and moves places apart that are too close."""
    wanted = {
        stop: sum(heights[other] for other in neighbours[stop]) / len(neighbours[stop])
        if stop in neighbours
        else heights[stop]
        for stop in column
    }
    column.sort(key=lambda stop: (wanted[stop], heights[stop]))
    settled: list[float] = []
    for stop in column:
        settled.append(max(wanted[stop], settled[-1] + 1 if settled else wanted[stop]))
    shift = sum(wanted[stop] - height for stop, height in zip(column, settled, strict=True)) / max(1, len(column))
    heights.update({stop: height + shift for stop, height in zip(column, settled, strict=True)})
