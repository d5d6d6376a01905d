from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from common.errors import AdstreamError
from common.operators.sessions import STATE
from common.runtime.checkpoint import MANIFEST, BucketState, Checkpoint, Manifest
from common.runtime.clock import Clock
from common.streams.folder import Position

FINGERPRINT = {"operator": "sessions", "gap": 10}


def start() -> Manifest:
    return Manifest.start("sessions", Clock.start(("views",), 0), buckets=2, fingerprint=FINGERPRINT)


def state(user: str) -> pa.Table:
    action = {"eventTime": 1, "advertisementId": 2, "action": 0}
    row = {"userId": user, "start": 1, "end": 11, "actions": [action], "emitted": False}
    return pa.Table.from_pylist([row], STATE)


def test_a_manifest_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.load() is None
    manifest = replace(
        start(),
        step=3,
        position=Position({"views": 3}, {"views": "0002"}),
        clock=Clock.start(("views",), 5).observe({"views": 100}, 7),
        buckets=(BucketState("state/000000002/00000.parquet", 11, {"open": 1}), BucketState()),
        counters={"late": 2},
    )
    checkpoint.save(manifest)
    assert checkpoint.load() == manifest


def test_a_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    path = checkpoint.write_state(7, 1, state("ada"))
    assert checkpoint.read_state(BucketState(path), STATE).equals(state("ada"))
    assert checkpoint.write_state(7, 0, STATE.empty_table()) == ""
    assert checkpoint.read_state(BucketState(), STATE).equals(STATE.empty_table())


def test_state_that_no_manifest_names_is_swept(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    old, other, new = (checkpoint.write_state(step, b, state("ada")) for step, b in ((0, 0), (0, 1), (1, 0)))
    checkpoint.save(replace(start(), step=2, buckets=(BucketState(new), BucketState(other))))
    assert not (tmp_path / old).exists()
    assert (tmp_path / other).exists()
    assert (tmp_path / new).exists()


@pytest.mark.parametrize("change", [{"gap": 20}, {"operator": "windows"}, {"buckets": 4}])
def test_other_parameters_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    (name, value), *_ = change.items()
    manifest = start()
    manifest.check(manifest.fingerprint, tmp_path)
    with pytest.raises(AdstreamError, match=rf"made with {name}=.*, but the job has {name}={value}"):
        manifest.check({**manifest.fingerprint, **change}, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"layout": 1}', '{"layout": 99}'])
def test_a_torn_manifest_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(AdstreamError, match="not a manifest of this suite"):
        Checkpoint(tmp_path).load()


def test_a_torn_state_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    path = checkpoint.write_state(0, 0, state("ada"))
    whole = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AdstreamError, match="the state can't be read"):
        checkpoint.read_state(BucketState(path), STATE)


def test_clear_forgets_everything(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(replace(start(), buckets=(BucketState(checkpoint.write_state(0, 0, state("ada"))), BucketState())))
    checkpoint.clear()
    assert checkpoint.load() is None
    assert not list(tmp_path.rglob("*.parquet"))
