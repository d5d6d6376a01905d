from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from common.errors import AdstreamError, ExitCode
from common.operators.sessions import STATE
from common.runtime.checkpoint import MANIFEST, RETAINED, BucketState, Checkpoint, Manifest
from common.runtime.clock import Clock
from common.runtime.keyed import Stored
from common.streams.folder import Position
from common.topology.plan import compile_plan
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology

PLAN = compile_plan(topology(Settings()))
STAGES = PLAN.rounds[0]


def start() -> Manifest:
    return Manifest.start(PLAN, Clock.start(("views",), 0), buckets=2)


def written(checkpoint: Checkpoint, step: int, bucket: int) -> BucketState:
    return BucketState(checkpoint.write_state(step, bucket, {"sessions": state("ada")}))


def file_of(kept: BucketState) -> str:
    (path,) = kept.stored["sessions"].paths
    return path


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
        rounds=((BucketState({"sessions": Stored(("state/2/0.parquet",), (5,), 4)}, 11, {"open": 1}), BucketState()),),
        counters={"late": 2},
    )
    checkpoint.save(manifest)
    assert checkpoint.load() == manifest


def test_a_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.read_state(written(checkpoint, 7, 1), STAGES) == {"sessions": state("ada")}
    assert checkpoint.write_state(7, 0, {"sessions": STATE.empty_table()}) == {"sessions": Stored()}
    assert checkpoint.read_state(BucketState(), STAGES) == {"sessions": STATE.empty_table()}


def test_a_rotten_state_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    kept = written(checkpoint, 7, 1)
    content = bytearray((tmp_path / file_of(kept)).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file_of(kept)).write_bytes(content)
    with pytest.raises(AdstreamError, match="its bytes are not those that were written"):
        checkpoint.read_state(kept, STAGES)


def test_state_that_no_manifest_names_is_swept(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    old, other, new = (written(checkpoint, step, bucket) for step, bucket in ((0, 0), (0, 1), (1, 0)))
    checkpoint.save(replace(start(), step=2, rounds=((new, other),)))
    assert not (tmp_path / file_of(old)).exists()
    assert (tmp_path / file_of(other)).exists()
    assert (tmp_path / file_of(new)).exists()


def test_only_what_holds_something_can_be_due() -> None:
    held = {"sessions": Stored(("state/2/0.parquet",), (5,), 4)}
    assert BucketState(held, due=11).due_at(11)
    assert not BucketState(held, due=11).due_at(10)
    assert not BucketState({"sessions": Stored()}, due=11).due_at(11)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"layout": 1}', '{"layout": 99}'])
def test_a_torn_manifest_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(AdstreamError, match="not a manifest of this suite"):
        Checkpoint(tmp_path).load()


def test_the_path_of_a_manifest_is_told_once(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).symlink_to(MANIFEST)
    with pytest.raises(AdstreamError) as refused:
        Checkpoint(tmp_path).load()
    assert refused.value.problem.count(str(tmp_path)) == 1
    assert "Errno" not in refused.value.problem


def test_a_torn_state_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    kept = written(checkpoint, 0, 0)
    path = tmp_path / file_of(kept)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AdstreamError, match="the state can't be read"):
        checkpoint.read_state(kept, STAGES)


def test_clear_forgets_everything(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(replace(start(), rounds=((written(checkpoint, 0, 0), BucketState()),)))
    checkpoint.clear(tmp_path)
    assert checkpoint.load() is None
    assert not list(tmp_path.rglob("*.parquet"))


def test_nothing_is_saved_where_the_checkpoint_before_is_not(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "kept")
    checkpoint.save(replace(start(), step=1))
    (tmp_path / "kept").rename(tmp_path / "elsewhere")
    kept = written(checkpoint, 1, 0)
    after = replace(start(), step=2, rounds=((kept, BucketState()),))
    with pytest.raises(AdstreamError, match="what was saved there is gone") as gone:
        checkpoint.save(after)
    assert gone.value.code is ExitCode.UNAVAILABLE
    shutil.rmtree(tmp_path / "kept")
    (tmp_path / "elsewhere").rename(tmp_path / "kept")
    with pytest.raises(AdstreamError, match="what was saved there is gone"):
        checkpoint.save(after)  # its state went to the folder that was there meanwhile
    assert Checkpoint(tmp_path / "kept").load() == replace(start(), step=1)
    written(checkpoint, 1, 0)
    checkpoint.save(after)


def taken(place: Path, steps: int, retention: int = 3) -> Checkpoint:
    checkpoint = Checkpoint(place, retention)
    for step in range(1, steps + 1):
        checkpoint.save(replace(start(), step=step))
    return checkpoint


def retained(checkpoint: Checkpoint) -> list[int]:
    return [manifest.step for _, manifest in checkpoint.retained()]


def killed_before_the_manifest(checkpoint: Checkpoint) -> None:
    """What a kill leaves that comes once the last manifest is retained, and before the next one takes its place."""
    last = checkpoint.load()
    assert last is not None
    (Path(checkpoint.place) / RETAINED / f"{last.step:09d}.json").write_text(last.text())
    (Path(checkpoint.place) / RETAINED / f"{last.step:09d}.json.1f").write_text("{")  # nor was that one whole


def test_what_falls_back_comes_to_another_step_also_after_a_kill(tmp_path: Path) -> None:
    checkpoint = taken(tmp_path, 4)
    killed_before_the_manifest(checkpoint)
    assert retained(checkpoint) == [4, 3, 2]
    fallen = checkpoint.fall_back()
    assert fallen is not None and fallen.step == 3
    assert retained(checkpoint) == [3, 2]
    checkpoint.save(replace(start(), step=4))
    checkpoint.save(replace(start(), step=5))
    assert retained(checkpoint) == [5, 4, 3]
    assert sorted(path.name for path in (tmp_path / RETAINED).iterdir()) == ["000000003.json", "000000004.json"]


def test_one_that_is_torn_falls_back_to_the_last_that_is_retained(tmp_path: Path) -> None:
    checkpoint = taken(tmp_path, 3)
    killed_before_the_manifest(checkpoint)
    (tmp_path / MANIFEST).write_text("{")
    fallen = checkpoint.fall_back()
    assert fallen is not None and fallen.step == 3
    assert retained(checkpoint) == [3, 2, 1]
    assert taken(tmp_path / "other", 2, retention=1).fall_back() is None
