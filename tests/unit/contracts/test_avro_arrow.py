from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from common.contracts.avro_arrow import arrow_field
from common.errors import AdstreamError

ENUM = {"type": "enum", "name": "Colour", "symbols": ["Red", "Blue"]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("boolean", pa.bool_()),
        ("int", pa.int32()),
        ("long", pa.int64()),
        ("float", pa.float32()),
        ("double", pa.float64()),
        ("bytes", pa.binary()),
        ("string", pa.string()),
        ({"type": "string", "doc": "A name."}, pa.string()),
        ({"type": {"type": "long"}}, pa.int64()),
        ({"type": "long", "logicalType": "timestamp-millis"}, pa.timestamp("ms", tz="UTC")),
        (ENUM, pa.dictionary(pa.int8(), pa.string())),
        ({"type": "array", "items": "long"}, pa.list_(pa.field("item", pa.int64(), nullable=False))),
        ({"type": "array", "items": ["null", "long"]}, pa.list_(pa.int64())),
    ],
)
def test_a_type_has_one_form_in_memory(schema: Any, expected: pa.DataType) -> None:
    assert arrow_field("x", schema).equals(pa.field("x", expected, nullable=False))


@pytest.mark.parametrize("union", [["null", "long"], ["long", "null"]])
def test_a_union_with_null_is_nullable(union: list[str]) -> None:
    assert arrow_field("x", union).equals(pa.field("x", pa.int64(), nullable=True))


def test_a_type_defined_once_may_be_named_later() -> None:
    fields = [{"name": "a", "type": ENUM}, {"name": "b", "type": "Colour"}, {"name": "c", "type": "some.where.Colour"}]
    record = arrow_field("x", {"type": "record", "name": "R", "namespace": "some.where", "fields": fields}).type
    assert {record.field(name).type for name in "abc"} == {pa.dictionary(pa.int8(), pa.string())}


@pytest.mark.parametrize(
    "schema",
    [
        ["null", "long", "string"],
        ["long", "string"],
        {"type": "map", "values": "long"},
        {"type": "fixed", "name": "F", "size": 4},
        {"type": "long", "logicalType": "timestamp-micros"},
        "Unknown",
    ],
)
def test_what_no_stream_may_use_is_refused(schema: Any) -> None:
    with pytest.raises(AdstreamError, match=r"union|can't be used in a stream"):
        arrow_field("x", schema)
