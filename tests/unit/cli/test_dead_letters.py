from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.errors import ExitCode
from common.streams.materialise import records, table
from tests.unit.cli.conftest import Adstream

ROWS = {
    "customer-rows": [
        {"key": 1, "value": {"name": "Josh", "country": "DE", "creditLimit": 1}},
        {"key": 2, "value": {"name": "Eve", "country": "XX", "creditLimit": 1}},
        {"key": 3, "value": {"name": "Ada", "country": "YY", "creditLimit": 1}},
        {"key": 4, "value": {"name": "Bob", "country": "FR", "creditLimit": -1}},
    ],
    "campaign-rows": [{"key": 7, "value": {"name": "Spring", "customerId": key}} for key in (1, 2)],
    "advertisement-rows": [{"key": 9, "value": {"name": "ad", "type": "Pets", "campaignId": 7}}],
}
CORRECTED = [(1, "DE", 1), (2, "NL", 1), (3, "NL", 1), (4, "FR", 0)]


@pytest.fixture
def ran(tmp_path: Path, adstream: Adstream) -> Path:
    """The folder of a job that met three bad rows: `in` and `out`."""
    for stream, rows in ROWS.items():
        (tmp_path / "in" / stream).mkdir(parents=True)
        (tmp_path / "in" / stream / "000001.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(tmp_path, adstream) == 0
    return tmp_path


def run(root: Path, adstream: Adstream) -> int:
    said = adstream(
        *("run", "eventification", "--engine", "local", "--input", str(root / "in"), "--output", str(root / "out")),
        *("--mode", "stream", "--until-caught-up", "--set", "buckets=2"),
    )
    return said.code


def customers(root: Path) -> list[tuple[int, str, int]]:
    """Those that a job would read."""
    contract = load("customer-rows")
    rows = [json.loads(line) for path in sorted((root / "in/customer-rows").iterdir()) for line in path.open()]
    assert contract.rules
    good = [row for row in rows if row["value"]["country"] not in ("XX", "YY") and row["value"]["creditLimit"] >= 0]
    return sorted((row["key"], row["value"]["country"], row["value"]["creditLimit"]) for row in good)


def test_they_are_shown_by_stream_and_rule(ran: Path, adstream: Adstream) -> None:
    said = adstream("dead-letters", "show", str(ran / "out"))
    assert said.code == ExitCode.OK
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[1].startswith("customer-rows rule 'country-is-known' 2 customer-rows/000001.jsonl at 1: {")
    assert lines[2].startswith("customer-rows rule 'credit-limit-is-sane' 1 customer-rows/000001.jsonl at 3: {")
    assert len(lines) == 3


def test_what_is_put_back_is_what_the_job_takes_next(ran: Path, adstream: Adstream) -> None:
    replay = ("dead-letters", "replay", str(ran / "out"), "--into", str(ran / "in"))
    dry = adstream(*replay, "--rule", "country-is-known", "--set", "value.country=NL", "--dry-run")
    assert dry.code == ExitCode.OK and "to be put back" in dry.out
    assert customers(ran) == CORRECTED[:1]

    said = adstream(*replay, "--set", "value.country=NL")
    assert said.code == ExitCode.DIFFERENT
    assert "value.creditLimit is -1, which breaks the rule 'credit-limit-is-sane'" in said.out
    assert customers(ran) == CORRECTED[:3]

    assert adstream(*replay, "--set", "value.creditLimit=0").code == ExitCode.OK
    assert adstream(*replay, "--set", "value.creditLimit=0").code == ExitCode.OK
    assert customers(ran) == CORRECTED

    assert run(ran, adstream) == 0
    (promotion,) = table(ran / "out", "promotions", load("promotions")).to_pylist()
    assert promotion["value"]["customer"] == {"id": 2, "name": "Eve", "country": "NL"}
    assert sum(part.num_rows for part in records(ran / "out", "dead-letters", load("dead-letters"))) == 3


def test_edited_lines_are_put_back_and_no_others(ran: Path, adstream: Adstream, tmp_path: Path) -> None:
    shown = adstream("dead-letters", "show", str(ran / "out"), "--json").out.splitlines()
    lines = [json.loads(line) for line in shown if '"key":4' in line]
    lines[0]["record"]["value"]["creditLimit"] = 0
    path = tmp_path / "letters.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = adstream("dead-letters", "replay", str(ran / "out"), "--into", str(ran / "in"), "--edited", str(path))
    assert said.code == ExitCode.OK
    assert customers(ran) == [CORRECTED[0], CORRECTED[3]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nowhere"), "'nowhere' does not exist: give the --output folder"),
        (("replay", "{out}", "--into", "nowhere"), "--into 'nowhere' does not exist"),
        (("replay", "{out}", "--into", "{in}", "--edited", "nowhere"), "--edited 'nowhere': No such file"),
        (("replay", "{out}", "--into", "{in}", "--set", "x"), "--set 'x' is not FIELD=VALUE"),
    ],
)
def test_a_wrong_request_is_one_line(ran: Path, adstream: Adstream, arguments: tuple[str, ...], message: str) -> None:
    places = {"out": ran / "out", "in": ran / "in"}
    said = adstream("dead-letters", *(argument.format(**places) for argument in arguments))
    assert said.code == ExitCode.REFUSED
    assert message in said.error


def test_what_is_left_is_a_line_a_kind(tmp_path: Path, adstream: Adstream) -> None:
    for folder, lines in (("in/ad-views", ""), ("out/dead-letters", "".join(map(_letter, range(2_000))))):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "000000000.p0.jsonl").write_text(lines)
    said = adstream("dead-letters", "replay", str(tmp_path / "out"), "--into", str(tmp_path / "in"))
    assert said.code == ExitCode.DIFFERENT
    line = " ".join(said.out.splitlines()[-1].split())
    assert line == "ad-views 2,000 ad-views/a.jsonl at 0 value.createdEventTime is negative: -1"
    assert len(said.out.splitlines()) < 12


def _letter(offset: int) -> str:
    record = {"key": "a", "value": {"advertisementId": 1, "createdEventTime": -1 - offset}}
    told = {"stream": "ad-views", "partition": "ad-views/a.jsonl", "offset": offset, "records": 1, "reason": "negative"}
    return json.dumps({"key": "ad-views", "value": {**told, "raw": json.dumps(record)}}) + "\n"
