from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config.jobs import jobs, settings_type, topology_of
from common.report.flow import Box, Link, Picture, laid_out, picture
from common.topology.graph import sinks, sources, tables

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda edge: edge[0] < edge[1]), max_size=20)


def check(found: Picture) -> None:
    for link, route in found.routes.items():
        assert (route[0], route[-1]) == (found.places[link.start], found.places[link.end])
        layers = [layer for layer, _ in route]
        assert layers == list(range(layers[0], layers[0] + len(route)))
        assert len(layers) > 1
    heights: dict[int, list[float]] = {}
    stops = [place for route in found.routes.values() for place in route[1:-1]]
    for layer, height in [*found.places.values(), *stops]:
        heights.setdefault(layer, []).append(height)
    for column in heights.values():
        column.sort()
        assert all(after - before > 0.99 for before, after in pairwise(column))


@given(EDGES)
def test_links_lead_to_the_right_and_cross_no_box(edges: list[tuple[int, int]]) -> None:
    boxes = [Box(str(number), "operator") for number in range(10)]
    links = [Link(boxes[start].id, boxes[end].id) for start, end in dict.fromkeys(edges)]
    found = laid_out(boxes, links)
    assert set(found.boxes) == {box.id for box in boxes}
    check(found)


@pytest.mark.parametrize("job", jobs())
def test_the_picture_of_a_job_has_its_streams(job: str) -> None:
    topology = topology_of(job, settings_type(job)())
    found = picture(topology)
    check(found)
    assert {box.name for box in found.boxes.values() if box.kind == "read"} == set(sources(topology))
    assert {box.name for box in found.boxes.values() if box.kind == "written"} == set(
        sinks(topology) or tables(topology)
    )


def test_what_operators_are_keyed_by_stands_on_the_links() -> None:
    found = picture(topology_of("billing", settings_type("billing")()))
    links = {(link.start, link.end): (link.label, link.side) for link in found.routes}
    assert links["read:ad-views", "operator:sessions"] == ("userId", False)
    assert links["operator:sessions", "written:late-events"] == ("late", True)
    assert links["operator:totals", "operator:engagements"] == ("advertisementId", False)
    assert links["read:advertisements", "written:dead-letters"] == ("", True)
    assert found.boxes["operator:sessions"].notes == ("gap 30m", "grace 30m", "dedupe true")
