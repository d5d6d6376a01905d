from __future__ import annotations

from typing import Any

import orjson
import pytest

from common.errors import AdstreamError
from common.streams.decoded import DeadLetter, dead_letters
from common.streams.folder import Split
from common.streams.letters import Assignment, Identity, Letter, corrected, counted, edited, exported, letters_of

STREAM = "customer-rows"
GOOD = {"name": "Josh", "country": "DE", "creditLimit": 1}
LATEST = 10**13


def letter(offset: int, value: Any, reason: str = "bad", **changed: Any) -> Letter:
    raw = orjson.dumps({"key": offset, "value": value})
    return Letter(
        **{
            "identity": Identity(STREAM, f"{STREAM}/0.jsonl", offset),
            "records": 1,
            "raw": raw,
            "reason": reason,
            **changed,
        }
    )


def test_a_letter_of_several_jobs_is_one() -> None:
    tables = [
        dead_letters(Split(STREAM, "a/0.jsonl"), [DeadLetter(place, b"{", reason) for place in (1, 2)])
        for reason in ("of one job", "of another")
    ]
    found = letters_of(tables)
    assert [(each.identity.offset, each.reason) for each in found] == [(1, "of one job"), (2, "of one job")]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (
            "value.country is 'XX', which breaks the rule 'country-is-known' (not listed in x.csv)",
            "rule 'country-is-known'",
        ),
        ("value.name is null", "value.name is null"),
        ("value.action is 'it\\'s', not one of View, Click", "value.action is …, not one of View, Click"),
        ("value.createdEventTime is negative: -17", "value.createdEventTime is negative: …"),
        (
            "malformed JSON: unexpected end of data: line 1 column 5 (char 4)",
            "malformed JSON: unexpected end of data: line … column … (char …)",
        ),
    ],
)
def test_what_is_wrong_is_counted_without_the_values(reason: str, kind: str) -> None:
    assert letter(1, GOOD, reason).kind == kind


def test_the_most_frequent_come_first() -> None:
    letters = [letter(1, GOOD, "a"), letter(2, GOOD, "b"), letter(3, GOOD, "b"), letter(4, GOOD, "a", records=5)]
    assert [(kind, count, len(group)) for _, kind, count, group in counted(letters)] == [("a", 6, 2), ("b", 2, 2)]


def test_what_is_right_is_put_back_and_the_rest_stays_with_its_reason() -> None:
    letters = [
        letter(1, {**GOOD, "country": "XX"}),
        letter(2, {**GOOD, "country": "XX", "creditLimit": -1}),
        letter(3, {"name": "Eve", "country": "DE"}),
        letter(4, None, raw=b"\x00\x01"),
        letter(5, GOOD, records=3),
        letter(6, GOOD, identity=Identity("no-stream", "no-stream/0.jsonl", 6)),
    ]
    result = corrected(letters, {}, [Assignment.of("value.country=FR")], LATEST)
    assert result.records[STREAM].to_pylist() == [{"key": 1, "value": {**GOOD, "country": "FR"}}]
    assert [each.identity.offset for each in result.letters] == [1]
    left = {each.identity.offset: reason for each, reason in result.left}
    assert left.keys() == {2, 3, 4, 5, 6}
    assert left[2].startswith("value.creditLimit is -1, which breaks the rule")
    assert left[3] == "value.creditLimit is missing"
    assert "no JSON of key and value" in left[4]
    assert "3 records" in left[5] and left[6] == "there is no stream 'no-stream'"


def test_an_edited_record_takes_the_place_of_what_came() -> None:
    letters = [letter(1, None, raw=b"?"), letter(2, {**GOOD, "name": ""})]
    lines = [orjson.loads(exported(each)) for each in letters]
    assert lines[0]["record"] is None and lines[0]["raw"] == "?"
    lines[0]["record"] = {"key": 1, "value": GOOD}
    lines[1]["record"]["value"]["name"] = "Eve"
    edits = edited(map(orjson.dumps, lines), letters, "letters.jsonl")
    result = corrected(letters, edits, [], LATEST)
    assert [row["value"]["name"] for row in result.records[STREAM].to_pylist()] == ["Josh", "Eve"]
    assert result.left == ()


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([b"{"], "letters.jsonl, line 1: it is no dead letter"),
        ([b"[]"], "line 1: it is no dead letter"),
        ([b'{"stream":"customer-rows"}'], "line 1: it is no dead letter"),
        ([b"", exported(letter(9, GOOD))], "line 2: unknown, customer-rows/0.jsonl at offset 9"),
        ([exported(letter(1, GOOD))] * 2, "line 2: twice, customer-rows/0.jsonl at offset 1"),
    ],
)
def test_edited_lines_that_are_none_are_refused(lines: list[bytes], problem: str) -> None:
    with pytest.raises(AdstreamError, match=problem):
        edited(lines, [letter(1, GOOD)], "letters.jsonl")


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("value.creditLimit=7", {"key": 1, "value": {**GOOD, "creditLimit": 7}}),
        ("value.name=7", {"key": 1, "value": {**GOOD, "name": "7"}}),
        ("value.name=a=b", {"key": 1, "value": {**GOOD, "name": "a=b"}}),
        ("value=null", {"key": 1, "value": None}),
        ("key=2", {"key": 2, "value": GOOD}),
    ],
)
def test_a_value_is_set_in_the_type_of_its_field(typed: str, right: Any) -> None:
    result = corrected([letter(1, GOOD)], {}, [Assignment.of(typed)], LATEST)
    assert result.records[STREAM].to_pylist() == [right]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("value.country", "--set 'value.country' is not FIELD=VALUE"),
        ("value.land=DE", "--set, stream 'customer-rows': unknown field 'value.land'"),
        ("country=DE", "unknown field 'country'"),
    ],
)
def test_what_can_not_be_set_is_refused(typed: str, problem: str) -> None:
    with pytest.raises(AdstreamError, match=problem):
        corrected([letter(1, GOOD)], {}, [Assignment.of(typed)], LATEST)


def test_a_record_that_can_not_be_written_again_keeps_no_other_from_being_shown_and_put_back() -> None:
    """It nests deeper than what writes JSON goes, but not deeper than what reads it."""
    deep = b'{"key":1,"value":' + b"[" * 300 + b"]" * 300 + b"}"
    bad = letter(1, GOOD, raw=deep)
    assert orjson.loads(exported(bad)) | {"reason": ""} == {
        **bad.identity._asdict(),
        "reason": "",
        "record": None,
        "raw": deep.decode(),
    }
    found = corrected([bad, letter(2, GOOD)], {}, [], LATEST)
    assert [each.identity.offset for each in found.letters] == [2]
    assert [each.identity.offset for each, _ in found.left] == [1]
