"""Lineage against small graphs, and what is upstream and downstream against every way there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AdstreamError
from common.lineage.graph import Edge, Job, Lineage, Node, Stream

NAMES = tuple("abcdef")


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    """Any jobs between a few streams; circles too."""
    some = st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(tuple)
    count = draw(st.integers(1, 5))
    jobs = tuple(Job(f"j{i}", "topology", "team", reads=draw(some), writes=draw(some)) for i in range(count))
    return Lineage(tuple(Stream(name, "team", 1, "event") for name in NAMES), jobs)


def ways(lineage: Lineage, start: Node) -> set[Node]:
    """All that can be reached along edges, by repeated steps until nothing is new."""
    reached = {start}
    for _ in lineage.edges():
        reached |= {edge.end for edge in lineage.edges() if edge.start in reached}
    return reached


@given(lineages(), st.sampled_from(NAMES))
def test_around_is_what_leads_to_a_stream_or_comes_from_it(lineage: Lineage, name: str) -> None:
    here = Node("stream", name)
    every = {node for edge in lineage.edges() for node in (edge.start, edge.end)} | {here}
    wanted = ways(lineage, here) | {node for node in every if here in ways(lineage, node)}
    near = lineage.around(here)
    assert {Node("stream", stream.name) for stream in near.streams} | {
        Node("job", job.name) for job in near.jobs
    } == wanted
    kept = {node for edge in near.edges() for node in (edge.start, edge.end)}
    assert kept <= wanted


@given(lineages(), st.sampled_from(NAMES))
def test_readers_and_writers_are_those_of_the_edges(lineage: Lineage, name: str) -> None:
    edges = lineage.edges()
    assert {job.name for job in lineage.readers(name)} == {e.end.name for e in edges if e.start == Node("stream", name)}
    assert {job.name for job in lineage.writers(name)} == {e.start.name for e in edges if e.end == Node("stream", name)}


def test_dead_letters_are_a_side_path_and_join_nothing() -> None:
    letters = Stream("dead", "platform", 1, "event")
    one, other = (Job(name, "topology", "team", dead_letters="dead") for name in ("one", "other"))
    lineage = Lineage((letters,), (one, other))
    assert lineage.edges() == tuple(Edge(Node("job", n), Node("stream", "dead"), side=True) for n in ("one", "other"))
    near = lineage.around(Node("job", "one"))
    assert [job.name for job in near.jobs] == ["one"]
    assert [stream.name for stream in near.streams] == ["dead"]


def test_a_name_that_is_not_there_is_one_line() -> None:
    lineage = Lineage((), (Job("sessions", "topology", "team"),))
    with pytest.raises(AdstreamError, match="unknown job 'sesions': did you mean 'sessions'"):
        lineage.around(Node("job", "sesions"))
    with pytest.raises(AdstreamError, match="unknown stream 'x': there is none"):
        lineage.around(Node("stream", "x"))
