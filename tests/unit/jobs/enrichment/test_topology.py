from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.contracts.contract import load
from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.materialise import table
from jobs.enrichment.report import report

Record = dict[str, Any]


def click(user: str, ad: int, time: int) -> Record:
    return {"key": user, "value": {"advertisementId": ad, "createdEventTime": time}}


def advertisement(ad: int, name: str | None) -> Record:
    return {"key": ad, "value": name and {"name": name, "type": "Pets"}}


def write(root: Path, stream: str, files: list[list[Record]]) -> None:
    folder = root / stream
    folder.mkdir(parents=True)
    for number, records in enumerate(files):
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def enriched(tmp_path: Path, **settings: object) -> Summary:
    spec = JobSpec(
        job="enrichment",
        engine="local",
        mode="stream",
        input=str(tmp_path / "in"),
        output=str(tmp_path / "out"),
        checkpoint=str(tmp_path / "checkpoint"),
        settings={"buckets": 4, "out_of_orderness": 0, "grace": 0, **settings},
        until_caught_up=True,
        drain=True,
    )
    return run(spec)


def rows(tmp_path: Path, stream: str) -> list[tuple[str, int, str | None]]:
    found = table(tmp_path / "out", stream, load(stream)).to_pylist()
    return sorted((row["key"], row["value"]["advertisementId"], row["value"].get("name")) for row in found)


def test_a_click_is_joined_with_what_came_with_it_or_before(tmp_path: Path) -> None:
    write(tmp_path / "in", "ad-clicks", [[click("ada", 1, 10)], [click("eve", 1, 20), click("eve", 2, 21)]])
    write(tmp_path / "in", "advertisements", [[advertisement(1, "Gerbils")], [advertisement(1, "Ducks")]])
    summary = enriched(tmp_path)
    assert rows(tmp_path, "enriched-clicks") == [("ada", 1, "Gerbils"), ("eve", 1, "Ducks")]
    assert rows(tmp_path, "unmatched-clicks") == [("eve", 2, None)]
    assert summary.balanced
    assert report(tmp_path / "out") == {"clicks joined": 2, "clicks unmatched": 1}


def test_a_click_waits_for_its_advertisement(tmp_path: Path) -> None:
    write(tmp_path / "in", "ad-clicks", [[click("ada", 1, 10), click("ada", 2, 10)], [click("eve", 3, 15)], []])
    write(tmp_path / "in", "advertisements", [[], [], [advertisement(1, "Gerbils")]])
    enriched(tmp_path, wait=100)
    assert rows(tmp_path, "enriched-clicks") == [("ada", 1, "Gerbils")]
    assert rows(tmp_path, "unmatched-clicks") == [("ada", 2, None), ("eve", 3, None)]


def test_a_deleted_advertisement_is_not_joined(tmp_path: Path) -> None:
    write(tmp_path / "in", "ad-clicks", [[], [click("ada", 1, 10)]])
    write(tmp_path / "in", "advertisements", [[advertisement(1, "Gerbils")], [advertisement(1, None)]])
    enriched(tmp_path)
    assert rows(tmp_path, "unmatched-clicks") == [("ada", 1, None)]


def test_a_late_click_is_told(tmp_path: Path) -> None:
    write(tmp_path / "in", "ad-clicks", [[click("ada", 1, time)] for time in (100, 200, 50)])
    write(tmp_path / "in", "advertisements", [[advertisement(1, "Gerbils")]])
    summary = enriched(tmp_path)
    (late,) = table(tmp_path / "out", "late-events", load("late-events")).to_pylist()
    assert (late["key"], late["value"]["stream"], late["value"]["reason"]) == (
        "ada",
        "ad-clicks",
        "149 ms behind the watermark, grace is 0 ms",
    )
    assert summary.balanced
