from __future__ import annotations

import json
from pathlib import Path

from jobs.anomalies.report import report

VALUE = {"observed": 2.0, "expected": 1.0, "score": 2.0, "support": 2}


def write(root: Path, name: str, *findings: tuple[str, str, int, bool]) -> None:
    """A step's file: kind, subject, start, and whether it stands."""
    path = root / "ad-anomalies" / f"{name}.p0.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {
                "key": {"kind": kind, "subject": subject, "window": {"start": start, "end": start + 10}},
                "value": VALUE if stands else None,
            }
        )
        for kind, subject, start, stands in findings
    ]
    path.write_text("".join(line + "\n" for line in lines))


def test_it_counts_what_stands_by_kind_and_whom_it_is_about(tmp_path: Path) -> None:
    write(tmp_path, "0", ("click-rate", "ann", 0, True), ("click-rate", "ann", 5, True), ("no-pause", "bob", 0, True))
    write(tmp_path, "1", ("no-pause", "bob", 0, False), ("click-through", "7", 0, True))
    assert report(tmp_path) == {
        "click-rate": 2,
        "click-through": 1,
        "session-length": 0,
        "no-pause": 0,
        "users": 1,
        "advertisements": 1,
        "most findings": "2 about user ann",
    }


def test_an_output_without_findings_counts_none(tmp_path: Path) -> None:
    counted = report(tmp_path)
    assert counted.pop("most findings") == "none"
    assert set(counted.values()) == {0}
