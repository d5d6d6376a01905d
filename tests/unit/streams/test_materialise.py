"""The same records make the same table and hash, however they were cut, ordered and stored."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.contract import Contract, load
from common.errors import AdstreamError
from common.streams.materialise import digest, records, table
from common.streams.sink import FORMATS, open_sink
from tests.unit.streams.strategies import as_table, tables

SESSIONS = load("ad-sessions")


def write(root: Path, kind: str, contract: Contract, steps: list[list[pa.Table]]) -> Path:
    sink = open_sink(root, kind, {contract.stream: contract})
    for number, parts in enumerate(steps):
        staged = []
        for part, batch in enumerate(parts):
            with sink.writer(f"{number:09d}", f"p{part}") as writer:
                writer.write({contract.stream: batch})
            staged += writer.parts
        sink.deliver(f"{number:09d}", staged)
    return root


@pytest.mark.parametrize("stream", ["ad-sessions", "dead-letters"])
def test_every_format_gives_one_digest(stream: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    contract = load(stream)

    @settings(max_examples=5, deadline=None)
    @given(st.lists(st.lists(tables(contract), max_size=2), max_size=2))
    def same(steps: list[list[pa.Table]]) -> None:
        roots = [write(tmp_path_factory.mktemp("out"), kind, contract, steps) for kind in FORMATS]
        assert len({digest(table(root, stream, contract)) for root in roots}) == 1

    same()


def key(user: str) -> dict:
    return {"window": {"start": 1, "end": 2}, "userId": user}


def value(ad: int) -> dict:
    return {"actions": [{"eventTime": 1, "advertisementId": ad, "action": "View"}]}


def sessions(*rows: tuple[dict, dict | None]) -> pa.Table:
    return as_table(SESSIONS, list(rows))


def test_the_last_record_of_a_key_counts_and_a_tombstone_removes_it(tmp_path: Path) -> None:
    steps = [
        [sessions((key("a"), value(1)), (key("b"), value(1)), (key("c"), value(1)))],
        [sessions((key("a"), None)), sessions((key("b"), value(2)))],
        [sessions((key("c"), None), (key("c"), value(3)))],
    ]
    result = table(write(tmp_path, "jsonl", SESSIONS, steps), "ad-sessions", SESSIONS)
    assert result.schema == SESSIONS.arrow
    ads = {row["key"]["userId"]: row["value"]["actions"][0]["advertisementId"] for row in result.to_pylist()}
    assert ads == {"b": 2, "c": 3}


def test_partition_into_steps_does_not_show(tmp_path: Path) -> None:
    rows = [(key(user), value(1)) for user in "abcd"]
    one = write(tmp_path / "one", "parquet", SESSIONS, [[sessions(*rows)]])
    two = write(tmp_path / "two", "avro", SESSIONS, [[sessions(*rows[2:])], [sessions(rows[0]), sessions(rows[1])]])
    assert digest(table(one, "ad-sessions", SESSIONS)) == digest(table(two, "ad-sessions", SESSIONS))
    three = write(tmp_path / "three", "avro", SESSIONS, [[sessions(*rows[1:])]])
    assert digest(table(one, "ad-sessions", SESSIONS)) != digest(table(three, "ad-sessions", SESSIONS))


def test_events_are_all_kept(tmp_path: Path) -> None:
    contract = load("ad-views")
    row = ("a", {"advertisementId": 1, "createdEventTime": 2})
    write(tmp_path, "jsonl", contract, [[as_table(contract, [row])], [as_table(contract, [row])]])
    assert table(tmp_path, "ad-views", contract).num_rows == 2


def test_a_stream_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert list(records(tmp_path, "ad-sessions", SESSIONS)) == []
    assert table(tmp_path, "ad-sessions", SESSIONS).num_rows == 0


def test_output_that_is_not_the_streams_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ad-sessions").mkdir()
    (tmp_path / "ad-sessions" / "a.jsonl").write_text("\nno\n")
    with pytest.raises(AdstreamError, match=r"a.jsonl', record 1: not a record of 'ad-sessions' \(malformed JSON"):
        table(tmp_path, "ad-sessions", SESSIONS)
