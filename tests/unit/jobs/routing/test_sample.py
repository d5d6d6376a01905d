"""The rules that come with the job, on records of every kind, in batch and in stream mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.contracts.contract import load
from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from common.streams.json_text import json_lines
from common.streams.materialise import table
from jobs.routing.report import report

LINES: list[dict[str, Any] | str] = [
    {"type": "view", "userId": "ada", "advertisementId": 1, "page": "/a", "seconds": 2.0},
    {"type": "view", "userId": "ada", "advertisementId": 1, "seconds": 0.5},
    {"type": "view", "userId": "eve", "advertisementId": 2},
    {"type": "click", "userId": "ada", "advertisementId": 1},
    {"type": "click", "userId": "ada"},
    {"type": "hover", "userId": "eve", "advertisementId": 2, "seconds": 1.25},
    {"type": "hide", "userId": "eve", "advertisementId": 2},
    {"type": "heartbeat"},
    {"type": "heartbeat"},
    {"type": "scroll", "userId": "eve"},
    "{",
]
EXPECTED = {
    "routed-views": [
        {"key": "ada", "value": {"advertisementId": 1, "createdEventTime": 0, "page": "/a"}},
        {"key": "eve", "value": {"advertisementId": 2, "createdEventTime": 2, "page": None}},
    ],
    "routed-clicks": [{"key": 1, "value": {"userId": "ada", "createdEventTime": 3}}],
    "routed-interactions": [
        {
            "key": "eve",
            "value": {"interaction": "Dismiss", "advertisementId": 2, "createdEventTime": 6, "duration": None},
        },
        {
            "key": "eve",
            "value": {"interaction": "Hover", "advertisementId": 2, "createdEventTime": 5, "duration": 1250},
        },
    ],
}
REASONS = [(1, None, "no branch takes it"), (4, "routed-clicks", "key is null"), (9, None, "no branch takes it")]


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_records_go_where_the_rules_say(tmp_path: Path, mode: str) -> None:
    folder, output = tmp_path / "in" / "ad-firehose", tmp_path / "out"
    folder.mkdir(parents=True)
    for number, half in enumerate((LINES[:6], LINES[6:])):
        lines = [_line(place + 6 * number, value) for place, value in enumerate(half)]
        (folder / f"{number}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    drains = mode == "stream"
    summary = run(
        JobSpec(
            job="routing",
            engine="local",
            mode="stream" if drains else "batch",
            input=str(tmp_path / "in"),
            output=str(output),
            checkpoint=str(output / "_checkpoint"),
            settings={"buckets": 4},
            until_caught_up=drains,
            drain=drains,
        )
    )
    for stream, wanted in EXPECTED.items():
        assert _records(output, stream) == wanted
    rest = [(r["value"]["eventTime"], r["value"]["branch"], r["value"]["reason"]) for r in _records(output, "unrouted")]
    assert sorted(rest) == REASONS
    assert summary.balanced
    counted = {name: summary.metrics[name] for name in ("records_in", "routed", "filtered", "unrouted", "dead_letters")}
    assert counted == {"records_in": 11, "routed": 5, "filtered": 2, "unrouted": 3, "dead_letters": 1}
    assert report(output) == {"routed-clicks": 1, "routed-interactions": 2, "routed-views": 2, "unrouted": 3}


def _line(place: int, value: dict[str, Any] | str) -> str:
    if isinstance(value, str):
        return value
    return json.dumps({"key": "c1", "value": {"eventId": str(place), "createdEventTime": place, **value}})


def _records(output: Path, stream: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in json_lines(table(output, stream, load(stream))).to_pylist()]
