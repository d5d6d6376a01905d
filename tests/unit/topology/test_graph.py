from __future__ import annotations

from common.topology.graph import nodes, sinks, sources, upstreams
from common.topology.nodes import Process, Source
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology

JOB = topology(Settings())


def test_every_node_comes_after_those_it_hangs_on() -> None:
    found = nodes(JOB)
    for place, node in enumerate(found):
        assert all(upstream in found[:place] for upstream in upstreams(node))


def test_a_node_on_two_paths_is_found_once() -> None:
    assert len([node for node in nodes(JOB) if isinstance(node, Process)]) == 1
    assert len(set(map(id, nodes(JOB)))) == len(nodes(JOB))


def test_streams_are_found_in_the_topologys_order() -> None:
    assert sources(JOB) == ("ad-views", "ad-clicks")
    assert sinks(JOB) == ("ad-sessions", "late-events", "dead-letters")


def test_a_source_hangs_on_nothing() -> None:
    assert upstreams(Source("ad-views")) == ()
