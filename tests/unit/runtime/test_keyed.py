from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import AdstreamError
from common.runtime import keyed
from common.runtime.keyed import Segments, Stored

INTEGERS = pa.schema([pa.field("key", pa.int64(), nullable=False), pa.field("value", pa.int64(), nullable=False)])
STRINGS = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.int64(), nullable=False)])
NESTED = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("value", pa.struct([pa.field("name", pa.string(), nullable=False)])),
    ]
)
SEVERAL = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)

STEPS = st.lists(
    st.dictionaries(st.integers(0, 30), st.lists(st.integers(-(2**40), 2**40), max_size=2), max_size=12), max_size=25
)
"""In each step, some keys and the values that they have from then on; a key without any is gone."""


def put(segments: Segments, stored: Stored, step: int, values: dict[object, list[int]], schema: pa.Schema) -> Stored:
    keys = pa.array(list(values), schema.field("key").type)
    old = segments.find(stored, keys, "key", schema)
    rows = [{"key": key, "value": value} for key, held in values.items() for value in held]
    return segments.replace(stored, f"state/{step}.arrow", "key", old, pa.Table.from_pylist(rows, schema))


def rows_of(table: pa.Table) -> list[tuple[object, int]]:
    return sorted((row["key"], row["value"]) for row in table.to_pylist())


@SEVERAL
@given(steps=STEPS, growth=st.sampled_from([0, 1, 4]), text=st.booleans())
def test_a_table_is_what_was_put_into_it(
    steps: list[dict[int, list[int]]], growth: int, text: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    segments = Segments(str(tmp_path_factory.mktemp("tables")))
    schema, naive, stored = STRINGS if text else INTEGERS, {}, Stored()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyed, "GROWTH", growth)
        for number, values in enumerate(steps):
            named = {f"key {key}" if text else key: held for key, held in values.items()}
            naive.update(named)
            stored = put(segments, stored, number, named, schema)
    held = sorted((key, value) for key, values in naive.items() for value in values)
    assert rows_of(segments.everything(stored, "key", schema)) == held
    assert stored.live == len(held)
    asked = pa.array([f"key {key}" if text else key for key in range(0, 30, 3)], schema.field("key").type)
    found = segments.find(stored, asked, "key", schema)
    assert found.schema == schema
    assert rows_of(found) == [row for row in held if row[0] in set(asked.to_pylist())]


def test_two_strings_of_one_hash_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "hash64", lambda keys: np.zeros(len(keys), dtype=np.int64))
    segments = Segments(str(tmp_path))
    stored = put(segments, Stored(), 0, {"ada": [1], "eve": [2]}, STRINGS)
    stored = put(segments, stored, 1, {"eve": [3]}, STRINGS)
    assert rows_of(segments.find(stored, pa.array(["eve"]), "key", STRINGS)) == [("eve", 3)]
    assert rows_of(segments.find(stored, pa.array(["ada"]), "key", STRINGS)) == [("ada", 1)]


def test_a_step_writes_what_arrived_and_not_the_table(tmp_path: Path) -> None:
    segments = Segments(str(tmp_path))
    stored = put(segments, Stored(), 0, {key: [key] for key in range(100_000)}, INTEGERS)
    written = 0
    for step in range(1, 51):
        stored = put(segments, stored, step, {step * 1_000 + key: [0] for key in range(10)}, INTEGERS)
        written += stored.rows[-1]
    assert stored.rows[0] == 100_000
    assert len(stored.paths) <= 5
    assert written < 50 * 10 * 20
    assert pc.sum(segments.everything(stored, "key", INTEGERS)["value"]).as_py() == sum(
        key for key in range(100_000) if not (1_000 <= key < 51_000 and key % 1_000 < 10)
    )


def test_a_table_whose_keys_are_all_gone_has_no_files(tmp_path: Path) -> None:
    segments = Segments(str(tmp_path))
    stored = put(segments, Stored(), 0, {1: [1], 2: [2]}, INTEGERS)
    assert put(segments, stored, 1, {1: [], 2: []}, INTEGERS) == Stored()


def test_a_torn_segment_is_refused(tmp_path: Path) -> None:
    segments = Segments(str(tmp_path))
    stored = put(segments, Stored(), 0, {1: [1]}, INTEGERS)
    path = tmp_path / stored.paths[0]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AdstreamError, match="the state can't be read"):
        segments.find(stored, pa.array([1]), "key", INTEGERS)


@pytest.mark.parametrize("rows", [2, 200_000])
def test_a_rotten_segment_is_refused(rows: int, tmp_path: Path) -> None:
    segments = Segments(str(tmp_path))
    stored = put(segments, Stored(), 0, {key: [key] for key in range(rows)}, INTEGERS)
    assert rows < 1_000 or (tmp_path / stored.paths[0]).stat().st_size > keyed.SMALL_BYTES
    content = bytearray((tmp_path / stored.paths[0]).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / stored.paths[0]).write_bytes(content)
    with pytest.raises(AdstreamError, match="its bytes are not those that were written"):
        segments.find(stored, pa.array([1]), "key", INTEGERS)
    with pytest.raises(AdstreamError, match="its bytes are not those that were written"):
        segments.everything(stored, "key", INTEGERS)


def test_a_null_may_stand_for_what_has_no_nulls_in_it(tmp_path: Path) -> None:
    segments = Segments(str(tmp_path))
    rows = pa.table([pa.array([1, 2]), pa.array([{"name": "a"}, None], NESTED.field("value").type)], schema=NESTED)
    stored = segments.replace(Stored(), "state/0.arrow", "key", NESTED.empty_table(), rows)
    assert segments.find(stored, pa.array([2]), "key", NESTED).to_pylist() == [{"key": 2, "value": None}]
    stored = segments.replace(stored, "state/1.arrow", "key", rows.slice(0, 1), NESTED.empty_table())
    assert segments.everything(stored, "key", NESTED).to_pylist() == [{"key": 2, "value": None}]
