from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from common.lineage.collect import collect
from common.lineage.graph import Job, Lineage, Stream
from common.lineage.page import to_html
from common.lineage.render import to_json, to_mermaid, to_text

SUITE = collect()


def test_every_arrow_joins_two_shapes_that_are_drawn() -> None:
    lines = [line.strip() for line in to_mermaid(SUITE).splitlines()]
    shapes = {match[1] for line in lines if (match := re.match(r"(\w+)[\[(]+\"", line))}
    arrows = [match for line in lines if (match := re.fullmatch(r"(\w+) (-->|==>|-\.->) (\w+)", line))]
    assert len(arrows) == len(SUITE.edges())
    assert all({arrow[1], arrow[3]} <= shapes for arrow in arrows)


def test_boundaries_are_thick_and_dead_letters_dotted() -> None:
    picture = to_mermaid(SUITE)
    assert "stream_ad_sessions ==> job_engagements" in picture
    assert "job_sessions --> stream_ad_sessions" in picture
    assert "job_sessions -.-> stream_dead_letters" in picture
    assert re.search(r"class \S*stream_ad_sessions\S* pii\n", picture)
    assert "class stream_ad_engagements financial\n" in picture


def test_json_is_plain_and_names_readers_and_writers() -> None:
    plain = json.loads(json.dumps(to_json(SUITE)))
    sessions = next(stream for stream in plain["streams"] if stream["name"] == "ad-sessions")
    assert sessions["readers"] == ["engagements"]
    assert set(sessions["writers"]) == {"billing", "sessions"}
    assert {"stream": "ad-sessions", "owner": "behaviour", "reader": "engagements", "team": "billing"} in plain[
        "boundaries"
    ]
    assert {hop["tag"] for hop in plain["paths"]["pii"]} == {"pii"}
    starts = {job["name"]: job["start"] for job in plain["jobs"]}
    assert starts["sessions"] == "adstream run sessions"
    assert starts["liberate-advertisements"] == "adstream liberate advertisements"
    assert starts["connector-publish"] == "adstream services connector publish"


def test_the_text_names_everything_once_a_line() -> None:
    text = to_text(SUITE)
    assert "  sessions (behaviour): ad-views, ad-clicks → ad-sessions, late-events\n" in text
    assert "  ad-clicks (ad-serving): from outside → anomalies, " in text
    assert "  dead-letters (streaming-platform): every job → team streaming-platform [pii value.raw]\n" in text


class Page(HTMLParser):
    """Ids, links and addresses of a page; fails on a tag that is closed but was not opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            {"id": self.ids, "href": self.links, "src": self.links}.get(name, []).append(value or "")
        if tag not in {"meta", "br", "rect", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"rect", "path"}:
            assert self.open.pop() == tag


def test_the_page_needs_nothing_beside_it_and_its_links_lead_somewhere() -> None:
    text = to_html(SUITE)
    page = Page(text)
    assert page.open == []
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text and "url(" not in text


def test_names_are_text_on_the_page_whatever_they_hold() -> None:
    stream = Stream("a<b", "t&m", 1, "event", deprecated="<script>")
    text = to_html(Lineage((stream,), (Job("j", "topology", "<i>", reads=("a<b",)),)))
    assert "<script>" not in text
    assert "<i>" not in text
    assert "a&lt;b" in text and "t&amp;m" in text


def test_a_graph_of_nothing_is_drawn_too() -> None:
    empty = Lineage((), ())
    assert to_mermaid(empty) == "flowchart LR\n"
    assert "0 jobs, 0 streams, 0 teams" in to_html(empty)
    assert to_text(empty).count("none") == 6


def test_a_deprecated_stream_is_dashed() -> None:
    streams: tuple[Any, ...] = (replace(SUITE.streams[0], deprecated="gone"), *SUITE.streams[1:])
    name = SUITE.streams[0].name.replace("-", "_")
    assert f"class stream_{name} deprecated\n" in to_mermaid(Lineage(streams, SUITE.jobs))
