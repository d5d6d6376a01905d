"""Typed rows out of CSV files, a block at a time; what is wrong with a row is counted, and the row left out."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from common.errors import AdstreamError, reason_of

BLOCK_BYTES = 8 * 2**20
_HEAD_BYTES = 64 * 2**10
_WHOLE_NUMBER = r"^\d{1,18}$"
_SHOWN = 60

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CsvKind:
    """A kind of CSV file, known by its columns; a file may have more of them.

    Attributes:
        name: What the dataset calls it.
        integers: Columns of whole numbers from 0.
        texts: Columns of text that is not empty.
        delimiter: What stands between two columns.
    """

    name: str
    integers: tuple[str, ...]
    texts: tuple[str, ...] = ()
    delimiter: str = ","

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return self.integers + self.texts


@dataclass
class Rejected:
    """Rows that were left out.

    Attributes:
        counts: How many, by reason.
        examples: The first of each reason.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows were left out."""
        return self.counts.total()

    def note(self, reason: str, count: int, example: str) -> None:
        """Counts rows that are wrong for one reason."""
        self.counts[reason] += count
        self.examples.setdefault(reason, example[:_SHOWN])


def kind_of(path: Path, kinds: Sequence[CsvKind]) -> CsvKind:
    """Which kind of file this is, by its header.

    Args:
        path: A CSV file, or a compressed one (`.gz`, `.bz2`, `.zst`).
        kinds: The kinds of files the dataset has.

    Raises:
        AdstreamError: The file can't be read, or lacks a column of the kind it comes nearest to.
    """
    columns = header(path, kinds[0].delimiter)
    nearest = max(kinds, key=lambda kind: len(set(kind.columns) & set(columns)) / len(kind.columns))
    missing = [name for name in nearest.columns if name not in columns]
    if missing:
        raise AdstreamError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} of {nearest.name}; "
            f"it has {', '.join(columns)[:200] or 'none'}",
            f"give files that start with the header {' or '.join(','.join(kind.columns) for kind in kinds)}",
        )
    return nearest


def header(path: Path, delimiter: str = ",") -> list[str]:
    """The names of a file's columns, without blanks around them; none of an empty file.

    Raises:
        AdstreamError: The file can't be read, or is not text in UTF-8.
    """
    names = [name.strip() for name in next(csv.reader(first_lines(path), delimiter=delimiter), [])]
    if any("\0" in name for name in names):
        raise AdstreamError(f"{path} is not text in UTF-8", "save it as UTF-8; UTF-16 is not read")
    return names


def first_lines(path: Path) -> list[str]:
    """How a file begins.

    Raises:
        AdstreamError: The file can't be read.
    """
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            head: str = file.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise AdstreamError(f"can't read {path} ({reason_of(error)})", "give the CSV files of the dataset") from None
    return head.splitlines()


def read_rows(path: Path, kind: CsvKind, rejected: Rejected) -> Iterator[pa.Table]:
    """The good rows of a file, block by block.

    Args:
        path: The file.
        kind: Its kind, as `kind_of` told.
        rejected: Is told of the others.

    Returns:
        Tables of `int64` and `string` columns without nulls, named as `header` tells; blanks around a value don't count.

    Raises:
        AdstreamError: The file ends within its compression, or is not CSV at all.
    """

    def skip(row: pcsv.InvalidRow) -> str:
        reason = f"{path.name}: {row.actual_columns} columns and not {row.expected_columns}"
        rejected.note(reason, 1, row.text)
        return "skip"

    try:
        reader = pcsv.open_csv(
            str(path),
            # The names as they were told of the file: without the blanks around them.
            read_options=pcsv.ReadOptions(
                block_size=BLOCK_BYTES, column_names=header(path, kind.delimiter), skip_rows=1
            ),
            parse_options=pcsv.ParseOptions(delimiter=kind.delimiter, invalid_row_handler=skip),
            convert_options=pcsv.ConvertOptions(
                check_utf8=False,
                column_types={name: pa.string() for name in kind.columns},
                include_columns=list(kind.columns),
            ),
        )
        for batch in reader:
            yield _typed(pa.table(batch), kind, path.name, rejected)
    except (pa.ArrowException, OSError) as error:
        raise AdstreamError(
            f"{path} can't be read as CSV ({reason_of(error)})", "give the CSV files of the dataset"
        ) from None


def _typed(rows: pa.Table, kind: CsvKind, file: str, rejected: Rejected) -> pa.Table:
    good = np.ones(rows.num_rows, dtype=np.bool_)
    rows = pa.table({name: pc.ascii_trim_whitespace(rows[name]) for name in kind.columns})
    for name in kind.columns:
        column = rows[name].combine_chunks()
        ours = _whole_numbers(column) if name in kind.integers else _texts(column)
        bad = np.flatnonzero(good & ~ours)
        if bad.size:
            what = "a whole number" if name in kind.integers else "text"
            example = column.view(pa.binary())[int(bad[0])].as_py().decode(errors="replace")
            rejected.note(f"{file}: '{name}' is not {what}", bad.size, example)
        good &= ours
    kept = rows if good.all() else rows.filter(pa.array(good))
    types = [pa.int64()] * len(kind.integers) + [pa.string()] * len(kind.texts)
    return kept.cast(pa.schema(zip(kind.columns, types, strict=True)))


def _whole_numbers(column: pa.Array) -> Bools:
    matches: Bools = pc.match_substring_regex(column.view(pa.binary()), _WHOLE_NUMBER).to_numpy(zero_copy_only=False)
    return matches


def _texts(column: pa.Array) -> Bools:
    filled: Bools = pc.greater(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return filled & np.array([_is_utf8(value) for value in column.view(pa.binary()).to_pylist()], dtype=np.bool_)
    return filled


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
