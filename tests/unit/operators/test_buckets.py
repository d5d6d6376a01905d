from __future__ import annotations

import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.operators.buckets import bucket_of, crc32, key_in_each, split_by_bucket

texts = st.lists(st.text(max_size=12), max_size=20)


@given(texts)
def test_crc32_is_zlibs(keys: list[str]) -> None:
    assert crc32(pa.array(keys, pa.string())).tolist() == [zlib.crc32(key.encode()) for key in keys]


@given(texts, st.integers(0, 5))
def test_crc32_of_a_slice(keys: list[str], start: int) -> None:
    expected = [zlib.crc32(key.encode()) for key in keys[start:]]
    assert crc32(pa.array(keys, pa.string())[start:]).tolist() == expected


@given(texts, st.integers(1, 70))
def test_every_row_goes_to_the_bucket_of_its_key(keys: list[str], buckets: int) -> None:
    table = pa.table({"key": pa.array(keys, pa.string()), "row": range(len(keys))})
    parts = split_by_bucket(table, "key", buckets)
    assert sorted(row for part in parts.values() for row in part["row"].to_pylist()) == list(range(len(keys)))
    for bucket, part in parts.items():
        assert part.num_rows > 0
        assert {zlib.crc32(key.encode()) % buckets for key in part["key"].to_pylist()} == {bucket}
        assert part["row"].to_pylist() == sorted(part["row"].to_pylist()), "rows of a bucket keep their order"


def test_chunks_do_not_matter() -> None:
    keys = pa.chunked_array([["a", "b"], [], ["a"]], pa.string())
    assert bucket_of(keys, 16).tolist() == bucket_of(keys.combine_chunks(), 16).tolist()


@pytest.mark.parametrize("buckets", [1, 7, 64, 500])
def test_there_is_a_key_in_each_bucket(buckets: int) -> None:
    assert bucket_of(key_in_each(buckets), buckets).tolist() == list(range(buckets))
