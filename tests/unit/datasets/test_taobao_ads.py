from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from common.datasets.taobao_ads import import_taobao_ads
from common.errors import AdstreamError

Records = Callable[[Path, str], list[dict[str, Any]]]

RAW_SAMPLE = """user,time_stamp,adgroup_id,pid,nonclk,clk
11,1494137644,1,430548_1007,1,0
12,1494000000,3,430548_1007,0,1
11,1494137645,4,430539_1007,0,1
"""
AD_FEATURE = """adgroup_id,cate_id,campaign_id,customer,brand,price
1,6406,83237,1,95471,170.0
3,6406,83237,1,NULL,199.0
"""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "raw_sample.csv").write_text(RAW_SAMPLE)
    (tmp_path / "ad_feature.csv").write_text(AD_FEATURE)
    return [tmp_path / "raw_sample.csv", tmp_path / "ad_feature.csv"]


def action(user: str, advertisement: int, seconds: int) -> dict[str, Any]:
    time = datetime.fromtimestamp(seconds, timezone.utc)
    return {"key": user, "value": {"advertisementId": advertisement, "createdEventTime": time}}


def test_rows_become_views_and_clicks_in_the_order_of_time(tmp_path: Path, files: list[Path], records: Records) -> None:
    imported = import_taobao_ads(files, tmp_path / "out")
    clicked = [action("12", 3, 1494000000), action("11", 4, 1494137645)]
    assert records(tmp_path / "out", "ad-views") == [clicked[0], action("11", 1, 1494137644), clicked[1]]
    assert records(tmp_path / "out", "ad-clicks") == clicked
    assert records(tmp_path / "out", "advertisements") == [
        {"key": 1, "value": {"name": "ad-1", "type": "6406"}},
        {"key": 3, "value": {"name": "ad-3", "type": "6406"}},
    ]
    assert imported.files == 2
    assert imported.records == {"ad-views": 3, "ad-clicks": 2, "advertisements": 2}
    assert imported.rejected == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("11,1494137644,1,p,1,1", "raw_sample: 'clk' and 'nonclk' are not 0 and 1"),
        ("11,1494137644,1,p,0,0", "raw_sample: 'clk' and 'nonclk' are not 0 and 1"),
        ("11,1494137644000,1,p,1,0", "raw_sample: 'time_stamp' is not in seconds"),
        ("x,1494137644,1,p,1,0", "raw_sample.csv: 'user' is not a whole number"),
        ("11,1494137644,1,p,1", "raw_sample.csv: 5 columns and not 6"),
    ],
)
def test_rows_that_mean_nothing_are_counted(tmp_path: Path, files: list[Path], line: str, reason: str) -> None:
    files[0].write_text(RAW_SAMPLE + line + "\n")
    imported = import_taobao_ads(files, tmp_path / "out")
    assert imported.records["ad-views"] == 3
    assert imported.rejected == {reason: 1}


def test_another_dataset_is_refused(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "data" / "open-bandit" / "impressions.csv"
    with pytest.raises(AdstreamError, match=r"impressions.csv lacks the columns .* of raw_sample.csv"):
        import_taobao_ads([sample], tmp_path)
