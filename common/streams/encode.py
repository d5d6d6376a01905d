"""Records to files: one encoder a format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.contracts.contract import Contract
from common.streams.avro_schema import record_schema
from common.streams.columns import as_array, enum_texts, item_counts, lists_of
from common.streams.json_text import json_lines

TEXT_BYTES = 64 * 2**20
"""How much of a table is made text at once: Arrow's strings end at 2 GiB."""


class Encoder(Protocol):
    """Writes the records of a stream to one file, batch by batch."""

    def write(self, records: pa.Table) -> None:
        """Appends records of the contract's Arrow schema."""
        ...

    def close(self) -> None:
        """Completes the file."""
        ...


class JsonlEncoder:
    """`{"key": …, "value": …}` a line; timestamps as epoch ms, bytes as Avro's JSON encoding has them."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, records: pa.Table) -> None:
        """Appends records as lines."""
        for part in _parts(records):
            lines = pc.binary_join_element_wise(json_lines(part), pa.scalar("\n"), pa.scalar(""))
            self._file.write(_content(lines))

    def close(self) -> None:
        """Completes the file."""
        self._file.close()


class AvroEncoder:
    """An object container file of records of `{key, value}`, in the contract's schema."""

    def __init__(self, path: Path, contract: Contract) -> None:
        self._file = path.open("w+b")
        self._schema = fastavro.parse_schema(record_schema(contract))
        value = contract.value_schema
        self._branch = f"{value['namespace']}.{value['name']}" if contract.meta.tombstones else None

    def write(self, records: pa.Table) -> None:
        """Appends records as blocks."""
        keys, values = (_values(as_array(records[name])) for name in ("key", "value"))
        if self._branch is not None:
            # Naming the branch of the union spares fastavro to try which one fits.
            values = [None if value is None else (self._branch, value) for value in values]
        rows = ({"key": key, "value": value} for key, value in zip(keys, values, strict=True))
        fastavro.writer(self._file, self._schema, rows, codec="deflate")

    def close(self) -> None:
        """Completes the file."""
        self._file.close()


class ParquetEncoder:
    """A Parquet file, compressed with zstd.

    Only strings and enums are dictionaries: ids and times are smaller and faster as deltas.

    Args:
        path: The file.
        schema: How records are written; they are cast to it.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        leaves = [leaf for field in schema for leaf in _leaves(field, field.name)]
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            # Arrow's own schema would make readers keep enums as dictionaries, which pyarrow can't read inside lists.
            store_schema=False,
            use_dictionary=[name for name, kind in leaves if _is_text(kind)],
            column_encoding={name: "DELTA_BINARY_PACKED" for name, kind in leaves if _is_long(kind)},
        )

    def write(self, records: pa.Table) -> None:
        """Appends records as a row group."""
        given = records if records.schema == self._schema else records.cast(self._schema)
        self._writer.write_table(pa.table([_filled(column) for column in given.columns], schema=self._schema))

    def close(self) -> None:
        """Completes the file."""
        self._writer.close()


def open_encoder(path: Path, contract: Contract) -> Encoder:
    """The encoder for a path's suffix.

    Args:
        path: A file that does not exist yet, `.jsonl`, `.avro` or `.parquet`.
        contract: The contract of its records.
    """
    if path.suffix == ".parquet":
        return ParquetEncoder(path, contract.arrow)
    return AvroEncoder(path, contract) if path.suffix == ".avro" else JsonlEncoder(path)


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Structs whose nulls hold no nulls of their own: Arrow does not look below a null, Parquet's writer does."""
    if not pa.types.is_struct(column.type):
        return column
    return pa.chunked_array([_filled_struct(chunk) for chunk in column.chunks], column.type)


def _filled_struct(values: pa.StructArray) -> pa.StructArray:
    kind, mask = values.type, None
    children = [values.field(i) for i in range(kind.num_fields)]
    if values.null_count:
        valid = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        if not valid.size:
            return pa.array([None] * len(values), kind)
        rows = np.full(len(values), valid[0])
        rows[valid] = valid
        children, mask = [_without_nulls(child, pa.array(rows)) for child in children], values.is_null()
    children = [_filled_struct(child) if pa.types.is_struct(child.type) else child for child in children]
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)


def _without_nulls(child: pa.Array, rows: pa.Array) -> pa.Array:
    """A child of a struct with something in the place of each null: what another row has, or an empty list."""
    if not child.null_count:
        return child
    if not pa.types.is_list(child.type):
        return child.take(rows)
    return lists_of(child.flatten(), item_counts(child), child.type)


def _parts(records: pa.Table) -> Iterator[pa.Table]:
    """The table in parts of at most `TEXT_BYTES`, as far as rows are not larger than that."""
    if records.nbytes <= TEXT_BYTES or records.num_rows <= 1:
        yield records
        return
    half = records.num_rows // 2
    yield from _parts(records.slice(0, half))
    yield from _parts(records.slice(half))


def _content(strings: pa.Array) -> memoryview:
    """The bytes of all strings, one after another, without a copy."""
    _, offsets, content = strings.buffers()
    places = memoryview(offsets).cast("i")
    return memoryview(content)[places[strings.offset] : places[strings.offset + len(strings)]]


def _values(array: pa.Array) -> list[Any]:
    """An array as Python values, timestamps as epoch ms; much faster than `to_pylist` on nested types."""
    kind = array.type
    if pa.types.is_struct(kind):
        names = [child.name for child in kind]
        children = [_values(array.field(i)) for i in range(kind.num_fields)]
        rows: list[Any] = [dict(zip(names, row, strict=True)) for row in zip(*children, strict=True)]
        return _with_nulls(array, rows)
    if pa.types.is_list(kind):
        items = _values(array.flatten())
        ends = np.cumsum(item_counts(array)).tolist()
        lists = [items[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
        return _with_nulls(array, lists)
    if pa.types.is_dictionary(kind):
        return enum_texts(array).to_pylist()
    if pa.types.is_timestamp(kind):
        array = array.view(pa.int64())
    if pa.types.is_integer(array.type) and not array.null_count:
        return array.to_numpy().tolist()
    return array.to_pylist()


def _with_nulls(array: pa.Array, values: list[Any]) -> list[Any]:
    for row in array.is_null().to_numpy(zero_copy_only=False).nonzero()[0]:
        values[row] = None
    return values


def _leaves(field: pa.Field, path: str) -> Iterator[tuple[str, pa.DataType]]:
    """The leaf columns of a field, by their Parquet paths."""
    kind = field.type
    if pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(child, f"{path}.{child.name}")
    elif pa.types.is_list(kind):
        yield from _leaves(kind.value_field, f"{path}.list.element")
    else:
        yield path, kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def _is_long(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))
