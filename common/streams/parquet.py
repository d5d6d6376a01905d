"""Parquet: the columns `key` and `value`, as this suite and others write them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.streams.conform import conform
from common.streams.decoded import DeadLetter, Decoded, dead_letters
from common.streams.folder import Split
from common.streams.json_text import json_lines
from common.streams.parquet_file import open_parquet, unreadable

BATCH_ROWS = 262_144


def read_parquet(split: Split, contract: Contract, latest_allowed: int) -> Iterator[Decoded]:
    """Reads the rows of a split; only the columns that the contract has.

    Args:
        split: A range of row groups of a file.
        contract: The contract of the stream.
        latest_allowed: As `conform` takes it.

    Raises:
        AdstreamError: The file can't be read, or its schema is not the contract's.
    """
    file = open_parquet(split.path)
    found = file.schema_arrow
    for wanted in contract.arrow:
        _check(found, wanted, wanted.name, split.path)
    stop = file.num_row_groups if split.stop < 0 else split.stop
    offset = sum(file.metadata.row_group(group).num_rows for group in range(split.start))
    columns = [path for wanted in contract.arrow for path in _paths(found.field(wanted.name), wanted, wanted.name)]
    try:
        for run in _runs(found, list(range(split.start, stop))):
            for batch in file.iter_batches(BATCH_ROWS, row_groups=run, columns=columns, use_threads=False):
                rows = pa.Table.from_batches([batch])
                yield judged_rows(rows, split, contract, latest_allowed, offset)
                offset += rows.num_rows
    except (pa.ArrowException, OSError) as error:
        raise unreadable(split.path, error) from error


def judged_rows(rows: pa.Table, split: Split, contract: Contract, latest_allowed: int, offset: int) -> Decoded:
    """Rows without a text of their own, judged; a dead letter's raw bytes are its row as JSON.

    Args:
        rows: As `conform` takes them.
        split: Where they come from.
        contract: The contract of the stream.
        latest_allowed: As `conform` takes it.
        offset: The number of the first row in the file.
    """
    conformed = conform(rows, contract, latest_allowed)
    if not conformed.violations:
        return Decoded(conformed.table, dead_letters(split, []))
    reasons = conformed.reasons()
    raws = json_lines(rows.take(pa.array(list(reasons), pa.int64()))).cast(pa.binary()).to_pylist()
    letters = [DeadLetter(offset + row, raw, reason) for (row, reason), raw in zip(reasons.items(), raws, strict=True)]
    return Decoded(conformed.table.filter(pa.array(~conformed.bad)), dead_letters(split, letters))


def _runs(found: pa.Schema, groups: list[int]) -> list[list[int]]:
    """Row groups that can be read in one go: pyarrow can't join dictionaries of several inside a struct or list."""
    if any(_holds_dictionary(part.type) for part in found if pa.types.is_nested(part.type)):
        return [[group] for group in groups]
    return [groups]


def _holds_dictionary(kind: pa.DataType) -> bool:
    inner = [kind.field(i).type for i in range(kind.num_fields)] if pa.types.is_nested(kind) else []
    return bool(pa.types.is_dictionary(kind)) or any(_holds_dictionary(child) for child in inner)


def _paths(found: pa.Field, wanted: pa.Field, path: str) -> Iterator[str]:
    """The columns to read for a field: those of the file that the contract has too."""
    if not pa.types.is_struct(wanted.type):
        yield path
        return
    for child in wanted.type:
        index = found.type.get_field_index(child.name)
        if index >= 0:
            yield from _paths(found.type.field(index), child, f"{path}.{child.name}")


def _check(parent: pa.Schema | pa.StructType, wanted: pa.Field, path: str, file: str) -> None:
    """Refuses a file that lacks a field of the contract, or has it in a type that can't be converted."""
    index = parent.get_field_index(wanted.name)
    if index < 0:
        if wanted.nullable and path != "value":
            return
        raise _mismatch(file, path, "no such column", wanted.type)
    _check_type(parent.field(index).type, wanted.type, path, file)


def _check_type(found: pa.DataType, wanted: pa.DataType, path: str, file: str) -> None:
    if pa.types.is_struct(wanted) and pa.types.is_struct(found):
        for child in wanted:
            _check(found, child, f"{path}.{child.name}", file)
    elif pa.types.is_list(wanted) and (pa.types.is_list(found) or pa.types.is_large_list(found)):
        _check_type(found.value_type, wanted.value_type, path, file)
    elif not _converts(found, wanted):
        raise _mismatch(file, path, str(found), wanted)


def _converts(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of a type has its like in the wanted type."""
    types = pa.types
    if types.is_dictionary(found) and not types.is_dictionary(wanted):
        return _converts(found.value_type, wanted)
    if types.is_timestamp(wanted):
        return types.is_timestamp(found) or found == pa.int64()
    if types.is_dictionary(wanted):
        of = found.value_type if types.is_dictionary(found) else found
        return bool(types.is_string(of) or types.is_large_string(of))
    if types.is_string(wanted):
        return bool(types.is_string(found) or types.is_large_string(found))
    if types.is_binary(wanted):
        return bool(types.is_binary(found) or types.is_large_binary(found))
    if types.is_integer(wanted):
        room = wanted.bit_width - (1 if types.is_unsigned_integer(found) else 0)
        return bool(types.is_integer(found) and found.bit_width <= room)
    return bool(found == wanted)


def _mismatch(file: str, path: str, found: str, wanted: pa.DataType) -> AdstreamError:
    return AdstreamError(
        f"'{file}' breaks its stream's contract: column '{path}' is {found}, wanted {wanted}",
        "write it with the contract's schema, or move it away",
    )
