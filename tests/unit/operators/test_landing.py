"""What a table is given of a step, against plain Python."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.operators.landing import Keyed, Land
from common.operators.step import Watermarks
from tests.unit.streams.strategies import tables


@given(st.data())
@pytest.mark.parametrize("stream", ["advertisements", "ad-sessions", "ad-clicks"])
def test_of_entities_the_last_record_of_each_key_of_events_all(stream: str, data: st.DataObject) -> None:
    contract = load(stream)
    records = data.draw(tables(contract))
    records = pa.concat_tables([records, records.slice(0, len(records) // 2)])  # some keys come again
    operator = Land(contract)
    step = operator.step(operator.state_schema.empty_table(), Keyed(contract)(records), Watermarks())
    expected = records.to_pylist()
    if contract.meta.tombstones:
        last = {json.dumps(row["key"], default=str): place for place, row in enumerate(expected)}
        expected = [expected[place] for place in sorted(last.values())]
    assert step.outputs["records"].to_pylist() == expected
    assert step.outputs["records"].schema.equals(contract.arrow)
    assert step.counters == {"landed": len(expected), "superseded": len(records) - len(expected)}
