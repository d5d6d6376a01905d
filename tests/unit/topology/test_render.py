from __future__ import annotations

import json
import re

from common.topology.render import edges, to_json, to_mermaid
from jobs.anomalies.settings import Settings as AnomalySettings
from jobs.anomalies.topology import topology as anomalies_topology
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology

JOB = topology(Settings(gap=5_400_000, grace=0))


def test_streams_are_cylinders_and_the_operator_shows_its_parameters() -> None:
    picture = to_mermaid(JOB)
    assert picture.startswith("flowchart LR\n")
    for stream in ("ad-views", "ad-clicks", "ad-sessions", "late-events", "dead-letters"):
        assert f'[("{stream}")]' in picture
    assert "<b>sessions</b><br/>gap 1h30m · grace 0s · dedupe true" in picture


def test_side_outputs_are_dotted_and_tombstones_labelled() -> None:
    lines = to_mermaid(JOB).splitlines()
    assert any("-.->" in line and '"late"' in line for line in lines)
    assert any("-->" in line and '"upserts, tombstones"' in line and "stream_ad_sessions" in line for line in lines)
    assert any("-.->" in line and "stream_dead_letters" in line for line in lines)


def test_every_arrow_joins_two_shapes_that_are_drawn() -> None:
    lines = to_mermaid(JOB).splitlines()[1:]
    shapes = {match[1] for line in lines if (match := re.match(r"    (\w+)[\[({]", line))}
    arrows = [
        re.fullmatch(r'    (\w+) (?:-->|-\.->)(?:\|"[^"]*"\|)? (\w+)', line)
        for line in lines
        if ">" in line.split('"')[0]
    ]
    assert len(arrows) == len(list(edges(JOB)))
    for arrow in arrows:
        assert arrow is not None
        assert {arrow[1], arrow[2]} <= shapes


def test_json_names_streams_with_owners_nodes_with_parameters_and_edges_between_them() -> None:
    plan = json.loads(json.dumps(to_json(JOB)))
    assert plan["job"] == "sessions"
    assert {stream["stream"]: stream["use"] for stream in plan["streams"]} == {
        "ad-views": "read",
        "ad-clicks": "read",
        "ad-sessions": "written",
        "late-events": "written",
        "dead-letters": "written",
    }
    assert all(stream["owner"] for stream in plan["streams"])
    operator = next(node for node in plan["nodes"] if node["type"] == "Process")
    assert operator["parameters"] == {"operator": "Sessions", "gap": 5_400_000, "grace": 0, "dedupe": True}
    known = {node["id"] for node in plan["nodes"]} | {stream["stream"] for stream in plan["streams"]}
    assert all({edge["from"], edge["to"]} <= known for edge in plan["edges"])


def test_nodes_keyed_by_one_column_are_drawn_apart() -> None:
    anomalies = to_mermaid(anomalies_topology(AnomalySettings()))
    names = [match[1] for match in re.finditer(r"^    (node_\w+)[\[({]", anomalies, re.MULTILINE)]
    assert len(set(names)) == len(names)
    assert names.count("node_clicks_by_userId") == names.count("node_actions_by_userId") == 1


def test_an_operator_that_is_composed_of_another_shows_its_parameters_too() -> None:
    anomalies = to_mermaid(anomalies_topology(AnomalySettings(click_window="15m")))
    assert "<b>click-windows</b><br/>subject userId · size 15m · every 1m · grace 30m" in anomalies
