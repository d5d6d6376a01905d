from __future__ import annotations

import json

import pytest

from common.contracts.contract import load, streams
from common.operators.step import END
from common.scaffold.example import example
from common.streams.jsonl import decode_lines


@pytest.mark.parametrize("stream", streams())
def test_the_example_of_every_stream_keeps_its_contract(stream: str) -> None:
    contract = load(stream)
    line = json.dumps({"key": example(contract.key_schema), "value": example(contract.value_schema)})
    records, letters = decode_lines(line.encode() + b"\n", contract, END)
    assert letters == []
    assert records.num_rows == 1
