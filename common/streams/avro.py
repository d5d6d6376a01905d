"""Avro object container files: records of `{key, value}`, resolved to the contract's schema.

A block that can't be decoded becomes one dead letter for all its records, and reading goes on behind
the file's next sync marker (Avro specification 1.12, "Object Container Files").
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
from fastavro.schema import to_parsing_canonical_form

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.streams.avro_schema import incompatibility, raw, record_schema, resolving
from common.streams.conform import plain_type
from common.streams.decoded import DeadLetter, Decoded, dead_letters
from common.streams.folder import Split
from common.streams.parquet import judged_rows

BATCH_ROWS = 131_072
"""From how many records on a batch of blocks is decoded."""
_SYNC_BYTES = 16
_MOST_RECORDS = 2**31 - 1

Records = list[dict[str, Any]]


def read_avro(split: Split, contract: Contract, latest_allowed: int) -> Iterator[Decoded]:
    """Reads a whole file.

    Args:
        split: The file.
        contract: The contract of the stream: the schema that records are resolved to.
        latest_allowed: As `conform` takes it.

    Raises:
        AdstreamError: The header can't be read, or its schema can't be resolved to the contract's.
    """
    plain = pa.schema([pa.field(part.name, plain_type(part.type, pa.binary())) for part in contract.arrow])
    offset = 0
    with Path(split.path).open("rb") as file:
        decoder, start = _Decoder.of(file, split.path, contract)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for blocks in _batches(_blocks(content, start, decoder.sync)):
                for records, letter in decoder.decode(blocks, offset):
                    if letter is not None:
                        yield Decoded(contract.arrow.empty_table(), dead_letters(split, [letter]))
                        offset += letter.records
                        continue
                    columns = [pa.array([record[f.name] for record in records], f.type) for f in plain]
                    rows = pa.table(columns, schema=plain)
                    yield judged_rows(rows, split, contract, latest_allowed, offset)
                    offset += len(records)


@dataclass(frozen=True)
class _Block:
    """A block as it lies in the file; `fault` says why it is not whole."""

    content: bytes
    records: int
    fault: str = ""


def _blocks(content: mmap.mmap, start: int, sync: bytes) -> Iterator[_Block]:
    while start < len(content):
        records = 1
        try:
            records, place = _long(content, start)
            size, place = _long(content, place)
            end = place + size + _SYNC_BYTES
            whole = records >= 0 and size >= 0 and content[end - _SYNC_BYTES : end] == sync
        except IndexError:
            whole = False
        if whole:
            yield _Block(content[start:end], records)
        else:
            found = content.find(sync, start)
            end = found + _SYNC_BYTES if found >= 0 else len(content)
            count = records if 0 < records <= _MOST_RECORDS else 1
            yield _Block(content[start:end], count, "the block does not end at the file's sync marker")
        start = end


def _long(content: mmap.mmap, place: int) -> tuple[int, int]:
    """A zig-zag varint and the place behind it (Avro specification 1.12, "Binary Encoding")."""
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), place
        if shift > 63:
            return -1, place


def _batches(blocks: Iterator[_Block]) -> Iterator[list[_Block]]:
    """Blocks in order, in batches that are decoded at once; a broken one is a batch of its own."""
    batch, held = list[_Block](), 0
    for block in blocks:
        if batch and (block.fault or batch[-1].fault or held + block.records > BATCH_ROWS):
            yield batch
            batch, held = [], 0
        batch.append(block)
        held += block.records
    if batch:
        yield batch


@dataclass(frozen=True)
class _Decoder:
    """Blocks of one file to records, with timestamps as epoch ms.

    Attributes:
        header: A header that makes a file of any of the blocks.
        sync: The file's sync marker.
        schema: What records are resolved to; None where the file's schema is the contract's.
    """

    header: bytes
    sync: bytes
    schema: Any

    @classmethod
    def of(cls, file: io.BufferedReader, path: str, contract: Contract) -> tuple[_Decoder, int]:
        """The decoder of a file, and the place of its first block."""
        header = io.BytesIO()
        try:
            opened: Any = fastavro.reader(file)
            start = file.tell()
            file.seek(start - _SYNC_BYTES)
            sync = file.read(_SYNC_BYTES)
            found = raw(opened.writer_schema)
            fastavro.writer(header, found, [], codec=opened.codec, sync_marker=sync)
        except Exception as error:  # fastavro raises whatever the bytes make it stumble over
            raise AdstreamError(
                f"'{path}' can't be read as Avro ({error})", "write it again, or move it away"
            ) from error
        wanted = raw(record_schema(contract))
        reader = resolving(wanted, found)
        why = incompatibility(reader, found)
        if why is not None:
            raise AdstreamError(
                f"'{path}' breaks the contract of stream '{contract.stream}': its schema is not compatible ({why})",
                "write it with the contract's schema, or move it away",
            )
        same = to_parsing_canonical_form(found) == to_parsing_canonical_form(wanted)
        return cls(header.getvalue(), sync, None if same else reader), start

    def decode(self, blocks: list[_Block], offset: int) -> Iterator[tuple[Records, DeadLetter | None]]:
        """The records of blocks, or a dead letter for a block; `offset` is the number of the first record."""
        try:
            if blocks[0].fault:
                raise ValueError(blocks[0].fault)
            yield self._records(blocks), None
        except Exception as error:  # noqa: BLE001 as above
            if len(blocks) == 1:
                reason = f"undecodable Avro block of {blocks[0].records} records: {error or type(error).__name__}"
                yield [], DeadLetter(offset, blocks[0].content, reason, blocks[0].records)
                return
            for block in blocks:
                yield from self.decode([block], offset)
                offset += block.records

    def _records(self, blocks: list[_Block]) -> Records:
        content = io.BytesIO(b"".join([self.header, *(block.content for block in blocks)]))
        reader: Any = fastavro.reader(content, reader_schema=self.schema)
        return list(reader)
