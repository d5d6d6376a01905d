from __future__ import annotations

import pyarrow as pa

from common.databases.outbox import records_of


def rows(*lines: tuple[int, str, str | None]) -> pa.Table:
    return pa.table({name: [line[i] for line in lines] for i, name in enumerate(("id", "key", "value"))})


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
    assert letters[1]["reason"].startswith("malformed JSON")


def test_a_row_of_no_stream_is_a_dead_letter() -> None:
    records, dead = records_of("nothing", rows((4, "7", None)))
    assert records == {}
    assert dead["value"].to_pylist()[0]["reason"] == "there is no stream 'nothing'"
    assert dead["value"].to_pylist()[0]["raw"] == b'{"key":7,"value":null}\n'
