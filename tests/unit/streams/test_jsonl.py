"""JSON lines: the verdict on a line depends on the line alone, however it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common.contracts.contract import load
from common.streams import jsonl
from common.streams.decode import read
from common.streams.folder import Split
from tests.unit.streams.strategies import LATEST

STREAMS = ("ad-views", "ad-sessions", "advertisements", "dead-letters")
LINES = {
    "ad-views": b'{"key":"ann","value":{"advertisementId":1,"createdEventTime":5}}',
    "ad-sessions": b'{"key":{"window":{"start":1,"end":2},"userId":"a\xc3\xa9"},"value":{"actions":'
    b'[{"eventTime":1,"advertisementId":2,"action":"View"},{"eventTime":1,"advertisementId":2,"action":"Click"}]}}',
    "advertisements": b'{"key":4,"value":{"name":"Gary\'s \\"Grahams\\"","type":"Food"}}',
    "dead-letters": b'{"key":"s","value":{"stream":"s","partition":"p","offset":1,"records":1,"raw":"\\u00ff","reason":"r"}}',
}
SPLICES = [
    b"", b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"NaN", b"-Infinity", b"1e3", b"1.0", b"-0", b"01", b"\0", b"\r", b"\t",
    b"\xff", b"\\", b"\\ud800", b"\\u0000", b'"x":1,', b'"key":"b",', b'"key":null,', b"9223372036854775808", b"true", b"{}", b"-",
    b"\xc4\x80",
    b'"value":null,', b"/**/", b"\xef\xbb\xbf", b'"x":' + b"[" * 1100 + b"]" * 1100 + b",",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, line: bytes) -> bytes:
    """A good line with up to three pieces replaced."""
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(line)))
        stop = min(len(line), start + draw(st.integers(0, 8)))
        line = line[:start] + draw(st.sampled_from(SPLICES)) + line[stop:]
    return line


def parsed(stream: str, block: bytes) -> tuple[list[dict], list[jsonl.Letter]]:
    table, letters = jsonl._Parser(load(stream), LATEST).parse(jsonl._Lines.of(block))
    return table.to_pylist(), letters


def one_by_one(stream: str, block: bytes) -> tuple[list[dict], list[jsonl.Letter]]:
    lines = jsonl._Lines.of(block)
    table, _, letters = jsonl._Parser(load(stream), LATEST)._one_by_one(lines, np.arange(lines.count))
    return table.to_pylist(), letters


@pytest.mark.parametrize("stream", STREAMS)
def test_columns_and_single_lines_give_one_verdict(stream: str) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(mutated(LINES[stream]), min_size=1, max_size=4))
    @example([LINES[stream] + LINES[stream], b""])
    @example([LINES[stream][:-1], b"}", LINES[stream] + LINES[stream]])
    @example([LINES[stream].replace(b'{"', b'{"x":' + b"[" * 1100 + b"]" * 1100 + b',"', 1)])
    @example([LINES[stream].replace(b'{"', b'{"x":NaN,"', 1)])
    def same(lines: list[bytes]) -> None:
        block = b"\n".join(lines) + b"\n"
        assert parsed(stream, block) == one_by_one(stream, block)

    same()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "malformed JSON: "),
        (b"\xff", "malformed JSON: "),
        (b"[1]", "the record is [1], not an object"),
        (b'{"value":{"advertisementId":1,"createdEventTime":5}}', "key is missing"),
        (b'{"key":"a"}', "value is missing"),
        (b'{"key":7,"value":{}}', "key is 7, not a string"),
        (b'{"key":"a","value":{"advertisementId":1}}', "value.createdEventTime is missing"),
        (
            b'{"key":"a","value":{"advertisementId":"1","createdEventTime":5}}',
            "value.advertisementId is '1', not a whole number",
        ),
        (
            b'{"key":"a","value":{"advertisementId":1.5,"createdEventTime":5}}',
            "value.advertisementId is 1.5, not a whole number",
        ),
        (
            b'{"key":"a","value":{"advertisementId":1,"createdEventTime":"' + b"9" * 500 + b'"}}',
            "value.createdEventTime is '999",
        ),
    ],
)
def test_what_a_bad_line_is_told(line: bytes, reason: str) -> None:
    records, letters = parsed("ad-views", LINES["ad-views"] + b"\n" + line + b"\n")
    assert len(records) == 1
    [(number, raw, why)] = letters
    assert (number, raw) == (1, line)
    assert why.startswith(reason)
    assert len(why) < 200


def test_bytes_are_code_points_up_to_255() -> None:
    wide = LINES["dead-letters"].replace(b"u00ff", b"u0100")
    [record], [(number, _, reason)] = parsed("dead-letters", LINES["dead-letters"] + b"\n" + wide)
    assert record["value"]["raw"] == b"\xff"
    assert (number, reason) == (1, "value.raw is 'Ā', not code points up to 255")


def test_unknown_fields_are_ignored_and_missing_nullable_ones_are_null() -> None:
    records, letters = parsed(
        "ad-engagements", b'{"key":1,"value":{"sum":2,"more":[]},"x":0}\n{"key":2,"value":null}\n'
    )
    assert letters == []
    assert records == [{"key": 1, "value": {"sum": 2, "name": None, "type": None}}, {"key": 2, "value": None}]


def test_a_tombstone_must_say_null() -> None:
    records, letters = parsed(
        "advertisements", b'{"key":1}\n{"key":2,"value":null}\n' + LINES["advertisements"] + b"\n"
    )
    assert [record["key"] for record in records] == [2, 4]
    assert [(number, why) for number, _, why in letters] == [(0, "value is missing")]


def whole(path: Path, bounds: list[int]) -> Iterator[tuple[list[dict], list[dict]]]:
    for start, stop in pairwise(bounds):
        for batch in read(Split("ad-views", str(path), start, stop), load("ad-views"), LATEST):
            yield batch.records.to_pylist(), [row["value"] for row in batch.dead.to_pylist()]


@pytest.mark.parametrize("block", [1, 50, 2**20])
def test_byte_ranges_give_the_same_records_and_offsets_as_the_file(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "BLOCK", block)
    lines = [json.dumps({"key": f"u{n}", "value": {"advertisementId": n, "createdEventTime": n}}) for n in range(12)]
    lines[3], lines[4], lines[9] = "", "{", "\r"
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines[:-1]) + "\r\n" + lines[-1])
    size = path.stat().st_size

    @settings(max_examples=40, deadline=None)
    @given(st.sets(st.integers(1, size - 1), max_size=6))
    def same(cuts: set[int]) -> None:
        parts = list(whole(path, [0, *sorted(cuts), size]))
        assert [row["key"] for records, _ in parts for row in records] == [
            f"u{n}" for n in (0, 1, 2, 5, 6, 7, 8, 10, 11)
        ]
        assert [(row["offset"], row["raw"]) for _, dead in parts for row in dead] == [(4, b"{")]

    same()


def test_a_bad_line_among_many_costs_none_of_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "FEW", 8)
    lines = [b'{"key":"u%d","value":{"advertisementId":1,"createdEventTime":5}}' % n for n in range(500)]
    lines[77] = lines[311] = b"oops"
    records, letters = parsed("ad-views", b"\n".join(lines))
    assert [record["key"] for record in records] == [f"u{n}" for n in range(500) if n not in (77, 311)]
    assert [number for number, _, _ in letters] == [77, 311]
