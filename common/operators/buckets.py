"""Keys to buckets: the unit in which state is kept, moved and rescaled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.streams.columns import as_array


def _crc32_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0xEDB88320), table >> 1)
    return table


_TABLE = _crc32_table()
_FNV_BASIS = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)


def crc32(keys: pa.Array) -> npt.NDArray[np.uint32]:
    """CRC-32 (as zlib, Spark's and MySQL's `crc32`) of each string's UTF-8 bytes.

    It walks byte positions, not strings, so that its cost is one vector operation a position.

    Args:
        keys: A `string` or `binary` array without nulls.
    """
    crc = np.full(len(keys), 0xFFFFFFFF, dtype=np.uint32)
    for live, byte in _bytes(keys):
        crc[live] = _TABLE[(crc[live] ^ byte) & 0xFF] ^ (crc[live] >> 8)
    return ~crc


def hash64(keys: pa.Array) -> npt.NDArray[np.int64]:
    """A 64-bit hash of each key: an integer is its own, a string has the FNV-1a of its UTF-8 bytes.

    Args:
        keys: An `int64` or `string` array without nulls.
    """
    if pa.types.is_int64(keys.type):
        integers: npt.NDArray[np.int64] = keys.to_numpy()
        return integers
    hashes = np.full(len(keys), _FNV_BASIS, dtype=np.uint64)
    for live, byte in _bytes(keys):
        hashes[live] = (hashes[live] ^ byte) * _FNV_PRIME
    return hashes.view(np.int64)


def _bytes(keys: pa.Array) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
    """Byte after byte of all keys at once: the keys that have one at this position, and their bytes."""
    binary = keys.cast(pa.large_binary())
    buffers = binary.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int64)[binary.offset : binary.offset + len(binary) + 1]
    content = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] else np.zeros(0, np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    live = np.flatnonzero(lengths > 0)
    position = 0
    while live.size:
        yield live, content[starts[live] + position]
        position += 1
        live = live[lengths[live] > position]


def bucket_of(keys: pa.Array | pa.ChunkedArray, buckets: int) -> npt.NDArray[np.int32]:
    """The bucket of each key: `crc32(key) % buckets`, the same on every engine and machine.

    Args:
        keys: Keys without nulls: `string`, or `int64`, which counts as its decimal text.
        buckets: How many buckets the job has; fixed for the life of its state.
    """
    encoded = keys.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = as_array(encoded.unify_dictionaries())
    of_distinct = (crc32(encoded.dictionary.cast(pa.string())) % np.uint32(buckets)).astype(np.int32)
    buckets_of_keys: npt.NDArray[np.int32] = of_distinct[encoded.indices.to_numpy(zero_copy_only=False)]
    return buckets_of_keys


def split_by_bucket(table: pa.Table, key: str, buckets: int) -> dict[int, pa.Table]:
    """The rows of a table, by the bucket of their key; buckets without rows are left out.

    Args:
        table: Any table with a column `key` as `bucket_of` takes it.
        key: The name of the key column.
        buckets: How many buckets the job has.
    """
    if table.num_rows == 0:
        return {}
    bucket = bucket_of(table[key], buckets).astype(np.uint16)
    order = np.argsort(bucket, kind="stable")
    counts = np.bincount(bucket, minlength=buckets)
    ends = np.cumsum(counts)
    ordered = table.take(pa.array(order))
    return {int(b): ordered.slice(int(ends[b] - counts[b]), int(counts[b])) for b in np.flatnonzero(counts)}


def concat(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """The rows of all tables, in order; an empty table of `schema` for none."""
    kept = [table for table in tables if table.num_rows]
    return pa.concat_tables(kept) if kept else schema.empty_table()


def key_in_each(buckets: int) -> pa.Array:
    """A key for each bucket, in the order of the buckets: what is sent to all of them reaches every part of a state.

    Args:
        buckets: How many buckets the job has.
    """
    # Each try is a new bucket with a chance of 1 in `buckets` at worst, so few are missing after 16 tries a bucket.
    tries = 16 * buckets
    while True:
        keys = pa.array([str(number) for number in range(tries)])
        found, first = np.unique(bucket_of(keys, buckets), return_index=True)
        if len(found) == buckets:
            return keys.take(pa.array(first))
        tries *= 2
