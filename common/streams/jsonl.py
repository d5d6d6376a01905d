"""JSON lines: `{"key": …, "value": …}` a line, timestamps as epoch ms, bytes as Avro's JSON encoding has them.

Blocks of lines are parsed as columns. Only lines that this cannot vouch for are parsed one by one,
and what that says counts: the verdict on a line does not depend on its neighbours. Blank lines are
no records; unknown fields are ignored, as Avro's readers do; of a repeated field the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.json

from common.contracts.contract import Contract
from common.streams.conform import conform, plain_type
from common.streams.decoded import DeadLetter, Decoded, dead_letters
from common.streams.folder import Split
from common.streams.shape import record_check

BLOCK = 16 * 2**20
"""How many bytes are parsed at once; some 200,000 ad events."""
FEW = 1_024
"""Lines that are parsed one by one if one of them is refused: smaller pieces cost more calls than they save."""
PIECES = 8
"""Into how many pieces a block is cut to find the lines that the column parser refuses."""
DEEP = 1_000
"""How deep a line may nest before it is parsed on its own: orjson ends at 1024, the column parser does not."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


Letter = tuple[int, bytes, str]
"""The number of a line in its block, the line, and what is wrong with it."""


def read_jsonl(split: Split, contract: Contract, latest_allowed: int) -> Iterator[Decoded]:
    """Reads the lines that begin in a split.

    Args:
        split: A byte range of a file.
        contract: The contract of the stream.
        latest_allowed: As `conform` takes it.
    """
    parser = _Parser(contract, latest_allowed)
    with Path(split.path).open("rb") as file:
        lines_before: int | None = None
        for start, block in _blocks(file, split.start, split.stop):
            lines = _Lines.of(block)
            records, letters = parser.parse(lines)
            if letters and lines_before is None:
                # Lines before the block are counted only for a dead letter's offset: it would double the reading.
                lines_before = _count_lines(split.path, start)
            offset = lines_before or 0
            dead = [DeadLetter(offset + line, raw, reason) for line, raw, reason in letters]
            yield Decoded(records, dead_letters(split, dead))
            if lines_before is not None:
                lines_before += lines.count


def decode_lines(block: bytes, contract: Contract, latest_allowed: int) -> tuple[pa.Table, list[Letter]]:
    """The records of lines that are not in a file, and a letter for every other line, both in order.

    Args:
        block: A record `{"key": …, "value": …}` a line; empty for none.
        contract: The contract of the stream.
        latest_allowed: As `conform` takes it.
    """
    if not block:
        return contract.arrow.empty_table(), []
    return _Parser(contract, latest_allowed).parse(_Lines.of(block))


def _blocks(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, each with its place in the file, of the lines that begin in [start, stop)."""
    if start > 0:
        file.seek(start - 1)
        file.readline()
    position = file.tell()
    while stop < 0 or position < stop:
        block = file.read(BLOCK if stop < 0 else min(BLOCK, stop - position))
        if not block:
            return
        if not block.endswith(b"\n"):
            block += file.readline()
        yield position, block
        position += len(block)


def _count_lines(path: str, stop: int) -> int:
    lines = 0
    with Path(path).open("rb") as file:
        while stop > 0 and (block := file.read(min(BLOCK, stop))):
            lines += block.count(b"\n")
            stop -= len(block)
    return lines


@dataclass(frozen=True)
class _Lines:
    """Some lines of a block; `starts` and `ends` (without the line feed) are places in the block."""

    block: bytes
    starts: Ints
    ends: Ints
    first: int = 0

    @classmethod
    def of(cls, block: bytes) -> _Lines:
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        if not block.endswith(b"\n"):
            ends = np.append(ends, len(block))
        return cls(block, np.concatenate([[0], ends[:-1] + 1]), ends)

    @property
    def count(self) -> int:
        return len(self.ends)

    def cut(self, pieces: int) -> Iterator[_Lines]:
        bounds = np.linspace(0, self.count, pieces + 1).astype(int)
        for low, high in pairwise(bounds.tolist()):
            yield _Lines(self.block, self.starts[low:high], self.ends[low:high], self.first + low)

    def text(self) -> bytes:
        return self.block[self.starts[0] : self.ends[-1] + 1]

    def line(self, index: int) -> bytes:
        return self.block[self.starts[index] : self.ends[index]]

    def look_whole(self) -> bool:
        """Whether each line begins and ends as an object does: then no record spans lines."""
        content = np.frombuffer(self.block, np.uint8)
        if (content[np.minimum(self.starts, len(content) - 1)] != ord("{")).any():
            return False
        last = content[self.ends - 1]
        last = np.where(last == ord("\r"), content[self.ends - 2], last)
        return bool((last == ord("}")).all())

    def deep(self) -> Ints:
        """Lines that may nest deeper than the line parser goes."""
        long = np.flatnonzero(self.ends - self.starts > DEEP).tolist()
        deep = [i for i in long if self.line(i).count(b"{") + self.line(i).count(b"[") > DEEP]
        return np.array(deep, dtype=np.int64)


class _Parser:
    """Lines to records, under one contract."""

    def __init__(self, contract: Contract, latest_allowed: int) -> None:
        self._contract = contract
        self._latest_allowed = latest_allowed
        self._check = record_check(contract)
        self._plain = pa.schema([pa.field(field.name, plain_type(field.type, pa.string())) for field in contract.arrow])

    def parse(self, lines: _Lines) -> tuple[pa.Table, list[Letter]]:
        """The records of the lines, and the letters, both in line order."""
        tables, letters = [], list[Letter]()
        for piece, rows in self._columns(lines):
            if rows is None:
                table, _, dead = self._one_by_one(piece, np.arange(piece.count))
            else:
                table, dead = self._judged(piece, rows)
            tables.append(table)
            letters += dead
        return pa.concat_tables(tables), letters

    def _columns(self, lines: _Lines) -> Iterator[tuple[_Lines, pa.Table | None]]:
        """The lines, in pieces, with their columns; without where the column parser can't be trusted."""
        rows = self._fast(lines)
        if rows is not None or lines.count <= FEW:
            yield lines, rows
            return
        for piece in lines.cut(PIECES):
            yield from self._columns(piece)

    def _fast(self, lines: _Lines) -> pa.Table | None:
        text = lines.text()
        if not lines.look_whole() or not _is_plain(text):
            return None
        try:
            rows = pyarrow.json.read_json(
                pa.BufferReader(text),
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=self._plain, unexpected_field_behavior="ignore"
                ),
            )
        except pa.ArrowInvalid:
            return None
        return rows if rows.num_rows == lines.count else None

    def _judged(self, lines: _Lines, rows: pa.Table) -> tuple[pa.Table, list[Letter]]:
        """Keeps the rows that are beyond doubt, and looks at the lines of the others again.

        A null value is in doubt too: columns do not tell it from a missing one.
        """
        conformed = conform(rows, self._contract, self._latest_allowed)
        doubtful = conformed.bad
        doubtful |= conformed.table["value"].is_null().to_numpy()
        doubtful[lines.deep()] = True
        if not doubtful.any():
            return conformed.table, []
        sure = np.flatnonzero(~doubtful)
        table, good, letters = self._one_by_one(lines, np.flatnonzero(doubtful))
        merged = pa.concat_tables([conformed.table.take(pa.array(sure)), table])
        order = np.argsort(np.concatenate([sure, good]), kind="stable")
        return merged.take(pa.array(order)) if good.size else merged, letters

    def _one_by_one(self, lines: _Lines, which: Ints) -> tuple[pa.Table, Ints, list[Letter]]:
        """The records of some lines, the numbers of their lines, and the letters."""
        reasons: dict[int, str] = {}
        records, kept = [], list[int]()
        for index in which.tolist():
            line = lines.line(index)
            if not line.strip(b" \t\r"):
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                reasons[index] = f"malformed JSON: {error}"
                continue
            reason = self._check(record)
            if reason is None:
                records.append(record)
                kept.append(index)
            else:
                reasons[index] = reason
        numbers = np.array(kept, dtype=np.int64)
        columns = [pa.array([record[f.name] for record in records], f.type) for f in self._plain]
        conformed = conform(pa.table(columns, schema=self._plain), self._contract, self._latest_allowed)
        reasons.update({kept[row]: reason for row, reason in conformed.reasons().items()})
        good = ~conformed.bad
        letters = [(lines.first + index, lines.line(index), reasons[index]) for index in sorted(reasons)]
        return conformed.table.filter(pa.array(good)), numbers[good], letters


def _is_plain(text: bytes) -> bool:
    """Whether the text has nothing that the column parser lets pass and the JSON standard does not."""
    if b"\0" in text or b"NaN" in text or b"Inf" in text:
        return False
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False
