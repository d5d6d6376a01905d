"""Whether rows keep their contract, whatever format brought them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.operators.step import END
from common.streams.conform import EARLIEST, LATEST, conform
from common.streams.delta import delta_schema
from common.tables.layout import Layout

STREAM = "late-events"


def rows(*watermarks: int | None) -> pa.Table:
    value = {"stream": "s", "value": "{}", "eventTime": 1, "grace": 3, "reason": "r"}
    given = [{"key": "a", "value": {**value, "watermark": watermark}} for watermark in watermarks]
    fields = [("stream", pa.string()), ("value", pa.string()), ("eventTime", pa.int64()), ("watermark", pa.int64())]
    kind = pa.struct([*fields, ("grace", pa.int64()), ("reason", pa.string())])
    return pa.Table.from_pylist(given, schema=pa.schema([("key", pa.string()), ("value", kind)]))


@pytest.mark.parametrize("outside", [EARLIEST - 1, LATEST + 1, -(2**63), 2**63 - 1])
def test_a_time_that_no_table_can_hold_breaks_the_contract(outside: int) -> None:
    conformed = conform(rows(5, outside), load(STREAM), END)
    assert conformed.reasons() == {1: f"value.watermark is {outside}, not between the years -4713 and 294246"}


def test_the_first_and_the_last_time_can_be_held_by_every_table() -> None:
    conformed = conform(rows(EARLIEST, LATEST), load(STREAM), END)
    assert conformed.violations == ()
    assert Layout(load(STREAM)).rows(conformed.table).num_rows == 2
    assert conformed.table.cast(delta_schema(load(STREAM))).num_rows == 2


def test_the_event_time_of_what_has_no_latest_one_is_bounded_too() -> None:
    given = {"key": "a", "value": {"advertisementId": 1, "createdEventTime": LATEST + 1}}
    (reason,) = conform(pa.Table.from_pylist([given]), load("ad-views"), END).reasons().values()
    assert reason.startswith(f"value.createdEventTime is {LATEST + 1}, not between")
