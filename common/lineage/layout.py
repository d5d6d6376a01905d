"""Where each node of a picture stands: columns by how far it is from the beginning, rows so that few lines cross."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TypeAlias

Point: TypeAlias = Hashable
Place = tuple[int, int]
"""A column and a row."""
_SWEEPS = 6


@dataclass(frozen=True)
class Layout:
    """A picture.

    Attributes:
        places: The place of each node; no two stand in one.
        ways: For each edge the places it passes between its ends, one in each column, where nothing stands.
    """

    places: Mapping[Point, Place]
    ways: Mapping[tuple[Point, Point], tuple[Place, ...]]


def layout(nodes: Sequence[Point], pairs: Sequence[tuple[Point, Point]]) -> Layout:
    """Places nodes so that every edge leads to the right, but for one that closes a circle.

    Args:
        nodes: What is drawn, in the order in which ties are settled.
        pairs: The start and end of each edge.
    """
    columns = _columns(nodes, pairs)
    ways = {pair: _bends(pair, columns) for pair in pairs}
    steps = [step for (start, end), bends in ways.items() for step in _steps(start, bends, end)]
    ranks: list[list[Point]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for node in nodes:
        ranks[columns[node]].append(node)
    for bends in ways.values():
        for bend in bends:
            ranks[bend[2]].append(bend)
    neighbours = _neighbours(steps)
    for sweep in range(_SWEEPS):
        _sort_by_neighbours(ranks if sweep % 2 == 0 else ranks[::-1], neighbours)
    found: dict[Point, Place] = {
        point: (column, row) for column, rank in enumerate(ranks) for row, point in enumerate(rank)
    }
    passed = {pair: tuple(found[bend] for bend in bends) for pair, bends in ways.items()}
    return Layout({node: found[node] for node in nodes}, passed)


def _columns(nodes: Sequence[Point], pairs: Sequence[tuple[Point, Point]]) -> dict[Point, int]:
    """The longest way to each node from one that nothing leads to."""
    columns: dict[Point, int] = {}
    waiting = list(nodes)
    while waiting:
        ready = [node for node in waiting if not any(end == node and start in waiting for start, end in pairs)]
        # A circle has no beginning: its first node is made one.
        for node in ready or waiting[:1]:
            before = [columns[start] for start, end in pairs if end == node and start in columns]
            columns[node] = max(before, default=-1) + 1
        waiting = [node for node in waiting if node not in columns]
    return columns


def _bends(pair: tuple[Point, Point], columns: Mapping[Point, int]) -> list[tuple[Point, Point, int]]:
    """A bend for each column that an edge passes."""
    start, end = pair
    return [(start, end, column) for column in range(columns[start] + 1, columns[end])]


def _steps(start: Point, bends: Sequence[Point], end: Point) -> list[tuple[Point, Point]]:
    way = [start, *bends, end]
    return list(pairwise(way))


def _neighbours(steps: Sequence[tuple[Point, Point]]) -> Mapping[Point, list[Point]]:
    found: dict[Point, list[Point]] = {}
    for start, end in steps:
        found.setdefault(start, []).append(end)
        found.setdefault(end, []).append(start)
    return found


def _sort_by_neighbours(ranks: Sequence[list[Point]], neighbours: Mapping[Point, list[Point]]) -> None:
    """Sorts each rank by the mean place of the neighbours in the ranks before it."""
    places: dict[Point, float] = {}
    for rank in ranks:
        rank.sort(key=lambda point: _mean([places[other] for other in neighbours.get(point, ()) if other in places]))
        places.update((point, (place + 0.5) / len(rank)) for place, point in enumerate(rank))


def _mean(places: Sequence[float]) -> float:
    return fmean(places) if places else 0.5
