from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from common.datasets.open_bandit import import_open_bandit
from common.datasets.output import FileFormat
from common.errors import AdstreamError

Records = Callable[[Path, str], list[dict[str, Any]]]

SAMPLE = Path(__file__).parents[2] / "data" / "open-bandit"
FILES = [SAMPLE / "impressions.csv", SAMPLE / "items.csv"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def action(user: str, item: str, ms: str) -> dict[str, Any]:
    time = EPOCH + timedelta(milliseconds=int(ms))
    return {"key": user, "value": {"advertisementId": int(item), "createdEventTime": time}}


@pytest.mark.parametrize("file_format", ["jsonl", "avro", "parquet"])
def test_every_row_of_the_sample_is_a_view_and_every_click_a_click(
    tmp_path: Path, file_format: FileFormat, records: Records
) -> None:
    imported = import_open_bandit(FILES, tmp_path, file_format)
    with FILES[0].open() as file:
        rows = list(csv.DictReader(file))
    by_time = lambda record: (record["value"]["createdEventTime"], record["key"])  # noqa: E731
    views = [action(row["user"], row["item_id"], row["timestamp_ms"]) for row in rows]
    clicks = [action(row["user"], row["item_id"], row["timestamp_ms"]) for row in rows if row["click"] == "1"]
    assert sorted(records(tmp_path, "ad-views"), key=by_time) == sorted(views, key=by_time)
    assert sorted(records(tmp_path, "ad-clicks"), key=by_time) == sorted(clicks, key=by_time)
    assert imported.records == {"ad-views": 10_000, "ad-clicks": len(clicks), "advertisements": 80}
    assert imported.rejected == {}
    assert imported.files == 7


def test_items_are_advertisements(tmp_path: Path, records: Records) -> None:
    import_open_bandit(FILES, tmp_path)
    advertisements = records(tmp_path, "advertisements")
    assert advertisements[0] == {"key": 0, "value": {"name": "item-0", "type": "aed79091"}}
    assert [record["key"] for record in advertisements] == list(range(80))


def test_the_sample_names_its_source_and_licence() -> None:
    readme = (SAMPLE / "README.md").read_text()
    assert "CC BY 4.0" in readme
    assert "ZOZO, Inc." in readme


def test_each_file_holds_a_period(tmp_path: Path, records: Records) -> None:
    imported = import_open_bandit(FILES[:1], tmp_path, period=6 * 3_600_000)
    assert imported.files > 7
    times = [record["value"]["createdEventTime"] for record in records(tmp_path, "ad-views")]
    assert times == sorted(times)
    assert not (tmp_path / "advertisements").exists()
    assert len(list((tmp_path / "ad-clicks").iterdir())) == imported.files


def test_a_click_that_is_neither_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "impressions.csv"
    path.write_text("timestamp_ms,user,item_id,position,click\n1,a,2,1,0\n2,a,2,1,7\n")
    imported = import_open_bandit([path], tmp_path / "out")
    assert imported.records == {"ad-views": 1, "ad-clicks": 0}
    assert imported.rejected == {"impressions: 'click' is neither 0 nor 1": 1}
    assert imported.examples == {"impressions: 'click' is neither 0 nor 1": "7"}


def test_items_alone_are_no_streams(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match=r"none of the files is impressions.csv: give at least one"):
        import_open_bandit(FILES[1:], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_times_all_over_the_ages_need_a_longer_period(tmp_path: Path) -> None:
    path = tmp_path / "impressions.csv"
    path.write_text("timestamp_ms,user,item_id,click\n" + "".join(f"{i}000,a,1,0\n" for i in range(600)))
    with pytest.raises(AdstreamError, match="more than 500 periods: choose a longer one, such as --period 30d"):
        import_open_bandit([path], tmp_path / "out", period=1_000)
    assert not list((tmp_path / "out").iterdir())
