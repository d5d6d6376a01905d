"""The page itself: whole, and in need of nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import vl_convert

from common.report.output import RunOutput
from common.report.page import page


class Reader(HTMLParser):
    """What a page holds: its charts, its texts, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.charts: list[str] = []
        self.figures: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self._tag, self._json = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._tag, self._json = tag, given.get("type") == "application/json"
        self.loads += [value for name, value in given.items() if name in {"src", "href"} and value]
        if "data-chart" in given:
            self.figures.append(given["data-chart"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "script":
            if self._json:
                self.charts.append(data)
        elif self._tag != "style":
            self.text += data


@pytest.fixture(scope="module")
def made(streamed: RunOutput) -> str:
    return page(streamed)


@pytest.fixture(scope="module")
def read(made: str) -> Reader:
    reader = Reader()
    reader.feed(made)
    return reader


def test_it_needs_no_network(made: str, read: Reader) -> None:
    assert read.loads == []
    assert not re.search(r"""(import|from)\s*\(?["']https?:""", made)
    assert not re.search(r"@import|url\(", made.partition("</style>")[0])


def test_every_chart_can_be_drawn(read: Reader) -> None:
    assert len(read.charts) == len(read.figures) == 12
    for chart in read.charts:
        assert "<svg" in vl_convert.vegalite_to_svg({**json.loads(chart), "width": 600})


def test_no_chart_is_larger_than_its_picture(read: Reader) -> None:
    assert max(map(len, read.charts)) < 20_000


def test_it_tells_the_settings_as_people_write_them(read: Reader) -> None:
    assert re.search(r"grace\s*how late an event may be and still correct a session\s*1h", read.text)
    assert re.search(r"buckets\s*parts the state is kept in; fixed for its life\s*4", read.text)


def test_text_of_a_run_stays_text(streamed: RunOutput) -> None:
    script = "</script><script>alert(1)</script>"
    made = page(replace(streamed, spec=replace(streamed.spec, input=script)))
    assert "alert(1)</script>" not in made
