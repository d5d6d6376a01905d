from __future__ import annotations

import orjson
import pyarrow as pa
import pytest

from common.databases.outbox import records_of


def rows(*lines: tuple[int, str, str | None]) -> pa.Table:
    schema = pa.schema([("id", pa.int64()), ("key", pa.string()), ("value", pa.string())])
    return pa.Table.from_pylist([dict(zip(schema.names, line, strict=True)) for line in lines], schema=schema)


def test_rows_are_records_of_their_stream_in_order() -> None:
    records, dead = records_of(
        "advertisements",
        rows((4, "7", '{"name":"a","type":"b"}'), (9, "7", None), (10, " 8", '{"type":"b",\n"name":"ä"}')),
    )
    assert records["advertisements"].to_pylist() == [
        {"key": 7, "value": {"name": "a", "type": "b"}},
        {"key": 7, "value": None},
        {"key": 8, "value": {"name": "ä", "type": "b"}},
    ]
    assert dead.num_rows == 0


def test_a_row_that_breaks_the_contract_is_a_dead_letter_with_its_id() -> None:
    records, dead = records_of("advertisements", rows((4, "7", '{"name":"a"}'), (5, "nonsense", None)))
    assert records["advertisements"].num_rows == 0
    letters = dead["value"].to_pylist()
    assert [letter["offset"] for letter in letters] == [4, 5]
    assert letters[0]["partition"] == "advertisements/outbox"
    assert letters[0]["reason"] == "value.type is missing"
    assert letters[1]["reason"] == "malformed JSON: key is 'nonsense'"


def test_an_empty_value_is_no_tombstone() -> None:
    records, dead = records_of("advertisements", rows((4, "7", ""), (5, "8", None)))
    assert records["advertisements"].to_pylist() == [{"key": 8, "value": None}]
    assert [letter["reason"] for letter in dead["value"].to_pylist()] == ["malformed JSON: value is ''"]


@pytest.mark.parametrize(
    ("key", "value", "which"),
    [
        ("8", '{"name":"a","type":"b"},"key":99', "value"),
        ('8,"value":null', '{"name":"a","type":"b"}', "key"),
        ("8", '{"name":"a","type":"b"}],[1', "value"),
        ("8", '{"name":"a","type":"b"}}{"key":9,"value":null', "value"),
        ("8", '{"name":"a","type":"b"},', "value"),
        ("[8", "null", "key"),
        ("8", "NaN", "value"),
    ],
)
def test_what_is_no_json_of_its_own_reaches_no_other_key(key: str, value: str, which: str) -> None:
    good = '{"name":"n","type":"t"}'
    records, dead = records_of("advertisements", rows((3, "7", '{"name":"a"}'), (4, key, value), (5, "9", good)))
    assert [row["key"] for row in records["advertisements"].to_pylist()] == [9]
    letters = dead["value"].to_pylist()
    assert [letter["offset"] for letter in letters] == [3, 4]
    assert letters[1]["reason"].startswith(f"malformed JSON: {which} is ")
    # Corrected by hand it can be put back, but never as the record that it would make.
    assert orjson.loads(letters[1]["raw"]) == {"key": key, "value": value}


def test_rows_that_are_json_only_together_are_told_apart() -> None:
    """Two rows in one string, and two values in one row: as many values as rows."""
    _, dead = records_of("advertisements", rows((3, '"a', None), (4, 'b"', None), (5, "1],[2", None)))
    assert [letter["offset"] for letter in dead["value"].to_pylist()] == [3, 4, 5]


def test_a_value_that_nests_as_deep_as_json_may_is_read() -> None:
    deep = '{"name":"a","type":"b","more":' + "[" * 1020 + "]" * 1020 + "}"
    records, dead = records_of("advertisements", rows((4, "7", deep)))
    assert (records["advertisements"].num_rows, dead.num_rows) == (1, 0)


def test_a_row_of_no_stream_is_a_dead_letter() -> None:
    records, dead = records_of("nothing", rows((4, "7", None)))
    assert records == {}
    assert dead["value"].to_pylist()[0]["reason"] == "there is no stream 'nothing'"
    assert dead["value"].to_pylist()[0]["raw"] == b'{"key":7,"value":null}\n'


def test_a_line_feed_inside_a_text_is_no_json_and_not_another_text() -> None:
    records, dead = records_of("advertisements", rows((4, "7", '{"name":"a\nb","type":"t"}'), (5, "8", None)))
    assert [row["key"] for row in records["advertisements"].to_pylist()] == [8]
    (letter,) = dead["value"].to_pylist()
    assert (letter["offset"], letter["reason"][:24]) == (4, "malformed JSON: value is")
