from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from common.contracts.contract import load as contract
from common.databases.liberation import Liberation, check, load
from common.errors import AdstreamError

ADS: dict[str, Any] = {"table": "ad", "key": "id", "value": {"name": "name", "type": "type"}}


def said(tmp_path: Path, section: dict[str, Any]) -> Path:
    path = tmp_path / "tables.yaml"
    path.write_text(yaml.safe_dump({"advertisements": section}))
    return path


def test_what_the_suite_frees_fits_its_contracts() -> None:
    check(load("advertisements"), contract("advertisements"))


def test_a_duration_is_read() -> None:
    read = Liberation.model_validate({**ADS, "read": {"by": "time", "column": "at", "lag": "5m"}}).read
    assert read.by == "time" and read.lag == 300_000


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"query": "SELECT 1"}, "'advertisements' is wrong .*give either a table or a query"),
        ({"table": ""}, "give either a table or a query"),
        ({"transaction": "x"}, "a table has its own xmin"),
        ({"colour": 1}, "'advertisements.colour' is wrong"),
        ({"read": {"by": "luck"}}, "'advertisements.read' is wrong"),
        ({"value": {}}, "'advertisements.value' is wrong"),
    ],
)
def test_a_section_that_is_wrong_is_refused(tmp_path: Path, change: dict[str, Any], line: str) -> None:
    with pytest.raises(AdstreamError, match=line):
        load("advertisements", said(tmp_path, {**ADS, **change}))


def test_a_stream_that_is_not_freed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="unknown stream 'ad-views'"):
        load("ad-views", said(tmp_path, ADS))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="No such file"):
        load("advertisements", tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("stream", "section", "line"),
    [
        ("advertisements", {**ADS, "value": {"name": "n", "colour": "c"}}, "has no field 'value.colour'"),
        ("advertisements", {**ADS, "value": {"name": "n"}}, "no column for 'value.type'"),
        (
            "ad-views",
            {"table": "v", "key": "u", "value": {"advertisementId": "a", "createdEventTime": "t"}, "deleted": "d"},
            "an event is not deleted by 'd'",
        ),
        (
            "ad-views",
            {"table": "v", "key": "u", "value": {"advertisementId": "a", "createdEventTime": "t"}},
            "is of events: read by all, table 'v' would repeat some",
        ),
    ],
)
def test_what_makes_no_records_of_the_contract_is_refused(stream: str, section: dict[str, Any], line: str) -> None:
    with pytest.raises(AdstreamError, match=line):
        check(Liberation.model_validate(section), contract(stream))
