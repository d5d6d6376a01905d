"""JSON text from columns is what a JSON library writes for each row."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from common.contracts.contract import load, streams
from common.streams.json_text import json_lines, json_text
from tests.unit.streams.strategies import tables


def plain(value: Any) -> Any:
    """A Python value as the JSON form has it."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return value.decode("latin-1") if isinstance(value, bytes) else value


@pytest.mark.parametrize("stream", streams())
def test_lines_are_the_rows(stream: str) -> None:
    @settings(max_examples=20, deadline=None)
    @given(tables(load(stream)))
    def same(records: pa.Table) -> None:
        for part in (records, records.slice(1), records.slice(0, 2)):
            lines = json_lines(part).to_pylist()
            assert [json.loads(line) for line in lines] == plain(part.to_pylist())
            assert not any("\n" in line for line in lines)

    same()


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([1, None]), ["1", "null"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([1.5, float("nan"), float("inf")]), ["1.5", "null", "null"]),
        (pa.array([[1, 2], [], None]), ["[1,2]", "[]", "null"]),
        (pa.array(["a", None, 'b"\\\n']), ['"a"', "null", '"b\\"\\\\\\n"']),
        (pa.array([{"a": None}, None]), ['{"a":null}', "null"]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ['"x"', "null", '"x"']),
        (pa.array([b"\xff\x00", None]), ['"ÿ\\u0000"', "null"]),
        (pa.array([1_500], pa.timestamp("us")), ["1"]),
    ],
)
def test_each_type(array: pa.Array, texts: list[str]) -> None:
    assert json_text(array).to_pylist() == texts
