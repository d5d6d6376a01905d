"""Anybody's CSV files as streams."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.datasets.csv_events import import_csv, times_of
from common.datasets.impressions import Imported
from common.errors import AdstreamError

Records = Callable[[Path, str], list[dict[str, Any]]]
NOON = 1_767_268_800_000
"""2026-01-01 12:00:00 UTC."""
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001 bounds are naive


def write(folder: Path, text: str, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def event(user: str, advertisement: int, ms: int = NOON) -> dict[str, Any]:
    time = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return {"key": user, "value": {"advertisementId": advertisement, "createdEventTime": time}}


def imported(path: Path, advertisements: Path | None = None, **given: str) -> Imported:
    made, _ = import_csv([path], given, advertisements, path.parent / "out")
    return made


def test_usual_names_are_found_and_clicked_views_are_both(tmp_path: Path, records: Records) -> None:
    path = write(tmp_path, f"User-ID,ad_id,ts,country,clicked\nann,7,{NOON},nl,1\nbob,8,{NOON},nl,0\n")
    _, columns = import_csv([path], {}, None, tmp_path / "out")
    assert columns.shown() == "user=User-ID, time=ts, advertisement=ad_id, clicked=clicked"
    assert records(tmp_path / "out", "ad-views") == [event("ann", 7), event("bob", 8)]
    assert records(tmp_path / "out", "ad-clicks") == [event("ann", 7)]


def test_a_row_of_a_log_is_a_view_or_a_click(tmp_path: Path, records: Records) -> None:
    path = write(
        tmp_path, f"who;what;whenever;event\nann;7;{NOON};Impression\nann;7;{NOON + 5};click\nann;7;{NOON};buy\n"
    )
    made = imported(path, user="who", advertisement="what", time="whenever")
    assert made.records == {"ad-views": 1, "ad-clicks": 1}
    assert made.rejected == {"'event' is neither view nor click": 1}
    assert made.examples == {"'event' is neither view nor click": "buy"}
    assert records(tmp_path / "out", "ad-clicks") == [event("ann", 7, NOON + 5)]


def test_advertisements_have_names(tmp_path: Path, records: Records) -> None:
    path = write(tmp_path, f"user,ad,time,click\nann,7,{NOON},1\n")
    about = write(tmp_path, "id\ttitle\tcategory\n7\tSeven, really\ttoys\n", "ads.csv")
    assert imported(path, about).records == {"ad-views": 1, "ad-clicks": 1, "advertisements": 1}
    (found,) = records(tmp_path / "out", "advertisements")
    assert found == {"key": 7, "value": {"name": "Seven, really", "type": "toys"}}


@pytest.mark.parametrize(
    "text",
    [
        "1767268800",
        " 1767268800000 ",
        "1767268800000999",
        "2026-01-01 12:00",
        "2026-01-01T12:00:00Z",
        "2026-01-01 13:00:00.000+01:00",
        "2026-01-01T12:00:00.000999",
    ],
)
def test_times_are_known_by_their_form(text: str) -> None:
    assert times_of(pa.array([text])).to_pylist() == [NOON]


@pytest.mark.parametrize("text", ["yesterday", "-5", "2026-02-31 12:00:00", "2026-01-01", "9" * 18, "12.5"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert times_of(pa.array([text, "1767268800"])).to_pylist() == [None, NOON]


@given(MOMENTS, st.integers(-14, 14))
def test_a_moment_is_the_same_in_every_form(moment: datetime, hours: int) -> None:
    ms = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
    local = moment.astimezone(timezone(timedelta(hours=hours)))
    naive = moment.replace(tzinfo=None)
    texts = [local.isoformat(timespec="microseconds"), naive.isoformat(" ", "microseconds"), f"{ms // 1000}"]
    assert times_of(pa.array(texts)).to_pylist() == [ms, ms, ms // 1000 * 1000]


@pytest.mark.parametrize(
    ("header", "given", "problem"),
    [
        (
            "ad,time,click",
            {},
            "has no column that looks like the user; it has ad, time, click: say which it is: --user",
        ),
        ("user,ad,time,click", {"user": "usr"}, "has no column 'usr': did you mean 'user'?"),
        ("user,ad,time,x", {}, "does not tell views from clicks .* add --clicked COLUMN"),
        ("user,ad,time,click", {"clicked": "click", "action": "click"}, "leave one of them out"),
        ("user,ad,time,click", {"user": "ad"}, "column 'ad' can't be both user and advertisement: name another"),
        ("user,ad,time,click", {}, "no row can be used: 1 are left out as .*'time' is no time, the first of them 'c'"),
        ("", {}, "it has none"),
    ],
)
def test_what_is_not_plain_is_refused(tmp_path: Path, header: str, given: dict[str, str], problem: str) -> None:
    path = write(tmp_path, f"{header}\na,2,c,1\n" if header else "")
    with pytest.raises(AdstreamError, match=problem):
        imported(path, **given)
    assert not (tmp_path / "out" / "ad-views").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="can't read"):
        imported(tmp_path / "none.csv")
