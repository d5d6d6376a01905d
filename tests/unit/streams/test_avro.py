"""Avro files of others, and broken ones: what can be read is read, what can't is accounted for."""

from __future__ import annotations

import io
from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.contract import load
from common.errors import AdstreamError
from common.streams import avro
from common.streams.avro_schema import record_schema
from common.streams.decode import read
from common.streams.folder import Split
from tests.unit.streams.strategies import LATEST

SYNC = b"0123456789abcdef"
ROWS = [{"key": f"u{n}", "value": {"advertisementId": n, "createdEventTime": n}} for n in range(30)]


def content(codec: str = "deflate", per_block: int = 1) -> bytes:
    """A file of `ROWS`; `per_block` is the least number of bytes in a block."""
    file = io.BytesIO()
    fastavro.writer(file, record_schema(load("ad-views")), ROWS, codec=codec, sync_interval=per_block, sync_marker=SYNC)
    return file.getvalue()


def rows_of(path: Path, raw: bytes, stream: str = "ad-views") -> tuple[list[dict], list[dict]]:
    path.write_bytes(raw)
    batches = list(read(Split(stream, str(path)), load(stream), LATEST))
    return (
        [row for batch in batches for row in batch.records.to_pylist()],
        [row["value"] for batch in batches for row in batch.dead.to_pylist()],
    )


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_every_codec_is_read(codec: str, tmp_path: Path) -> None:
    records, dead = rows_of(tmp_path / "a.avro", content(codec, 100))
    assert [record["key"] for record in records] == [row["key"] for row in ROWS]
    assert dead == []


def test_a_block_that_can_not_be_decoded_is_one_dead_letter_for_its_records(tmp_path: Path) -> None:
    raw = content("deflate", 100)
    blocks = raw.split(SYNC)
    counts = [block[0] // 2 for block in blocks[1:-1]]
    blocks[2] = blocks[2][:3] + b"\xff" * (len(blocks[2]) - 3)
    records, [letter] = rows_of(tmp_path / "a.avro", SYNC.join(blocks))
    assert letter["records"] == counts[1]
    assert letter["offset"] == counts[0]
    assert letter["reason"].startswith(f"undecodable Avro block of {counts[1]} records: ")
    assert letter["raw"] == blocks[2] + SYNC
    assert len(records) + letter["records"] == len(ROWS)


def test_reading_goes_on_behind_a_block_of_a_wrong_length(tmp_path: Path) -> None:
    blocks = content("null", 100).split(SYNC)
    blocks[2] = blocks[2][:-1]
    records, [letter] = rows_of(tmp_path / "a.avro", SYNC.join(blocks))
    assert "sync marker" in letter["reason"]
    assert len(records) + letter["records"] == len(ROWS)


def test_a_truncated_file_loses_no_record_in_silence(tmp_path: Path) -> None:
    records, [letter] = rows_of(tmp_path / "a.avro", content("null", 100)[:-20])
    assert len(records) + letter["records"] == len(ROWS)


def test_a_file_of_many_blocks_costs_no_more_for_each_of_them() -> None:
    """A producer that flushes after each record makes a block of each."""
    asked = 0

    class Block:
        fault = ""

        @property
        def records(self) -> int:
            nonlocal asked
            asked += 1
            return 1

    blocks = [Block() for _ in range(1_000)]
    assert list(avro._batches(iter(blocks))) == [blocks]  # type: ignore[arg-type]
    assert asked <= 2 * len(blocks)


@given(st.integers(0, 2**20), st.binary(min_size=1, max_size=12))
@settings(max_examples=120, deadline=None)
def test_no_garbage_is_more_than_a_refusal_or_dead_letters(
    tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes
) -> None:
    raw = content("deflate", 100)
    at %= len(raw)
    path = tmp_path_factory.getbasetemp() / "garbage.avro"
    try:
        rows_of(path, raw[:at] + junk + raw[at + len(junk) :])
    except AdstreamError as refused:
        assert str(path) in refused.problem  # noqa: PT017 either outcome is right


@pytest.mark.parametrize("raw", [b"x", b"Obj\x01", b"PAR1 not this either"])
def test_what_is_no_avro_file_is_refused(raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="can't be read as Avro"):
        rows_of(tmp_path / "a.avro", raw)


@pytest.mark.parametrize("stream", ["ad-sessions", "advertisements"])
def test_a_schema_that_is_not_the_contracts_is_refused(stream: str, tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match=f"breaks the contract of stream '{stream}'"):
        rows_of(tmp_path / "a.avro", content(), stream)


def test_fields_are_found_by_name_and_others_skipped(tmp_path: Path) -> None:
    value = load("ad-views").value_schema
    fields = [{"name": "more", "type": "string"}, *reversed(value["fields"])]
    schema = record_schema(load("ad-views"))
    schema["fields"] = [schema["fields"][0], {"name": "value", "type": {**value, "fields": fields}}]
    file = io.BytesIO()
    fastavro.writer(file, schema, [{"key": "a", "value": {"more": "x", "advertisementId": 1, "createdEventTime": 2}}])
    [record], dead = rows_of(tmp_path / "a.avro", file.getvalue())
    assert (record["value"]["advertisementId"], dead) == (1, [])
