from __future__ import annotations

import pytest

from common.contracts.contract import load, streams
from common.errors import AdstreamError
from common.scaffold.example import example, example_of


@pytest.mark.parametrize("stream", [stream for stream in streams() if not load(stream).meta.rules])
def test_the_example_of_every_stream_keeps_its_contract(stream: str) -> None:
    contract = load(stream)
    assert example_of(contract) == example(contract.value_schema)


def test_an_example_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(AdstreamError, match="stream 'customer-rows': a made-up value breaks its rules"):
        example_of(load("customer-rows"))
