from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs.engagements.report import report

Change = tuple[int, "int | None", "str | None"]


def write(root: Path, name: str, changes: list[Change]) -> None:
    """A step's file: advertisement, sum and name; neither is a tombstone."""
    lines = []
    for ad, total, called in changes:
        value: dict[str, Any] | None = {"sum": total, "name": called, "type": called and "Pets"}
        lines.append(json.dumps({"key": ad, "value": value if total or called else None}))
    path = root / "ad-engagements" / f"{name}.p0.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))


def test_it_counts_what_stands(tmp_path: Path) -> None:
    write(tmp_path, "0", [(1, 1_400, "gerbils"), (2, None, "ducks"), (3, 9, None), (4, 1, "gone")])
    write(tmp_path, "1", [(3, 17, None), (4, None, None)])
    assert report(tmp_path) == {
        "advertisements": 3,
        "with conversions": 2,
        "unknown": 1,
        "conversions": 1_417,
        "most conversions": "1,400, advertisement 1, gerbils (Pets)",
    }


def test_of_several_with_the_most_the_first_is_named(tmp_path: Path) -> None:
    write(tmp_path, "0", [(9, 3, "nine"), (5, 3, None), (7, 2, "seven")])
    assert report(tmp_path)["most conversions"] == "3, advertisement 5, unknown"


def test_an_output_without_records_counts_none(tmp_path: Path) -> None:
    nothing = {"advertisements": 0, "with conversions": 0, "unknown": 0, "conversions": 0, "most conversions": "none"}
    assert report(tmp_path) == nothing
    write(tmp_path, "0", [(1, None, None)])
    assert report(tmp_path) == nothing
