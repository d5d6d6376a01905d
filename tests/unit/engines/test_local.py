"""The local engine, in this process."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.engines.local import translate
from common.engines.local.sources import Shuffle
from common.runtime.frames import Onward
from common.runtime.spec import JobSpec


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_there_are_no_more_threads_than_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    submitted, most = list[object](), list[int]()

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            most.append(workers)
            super().__init__(workers)

        def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
            submitted.append(arguments)
            return super().submit(*arguments, **named)

    monkeypatch.setattr(translate, "ThreadPoolExecutor", Pool)
    for stream in ("ad-views", "ad-clicks"):
        (tmp_path / "in" / stream).mkdir(parents=True)
        event = {"key": "ann", "value": {"advertisementId": 1, "createdEventTime": 0}}
        (tmp_path / "in" / stream / "0.jsonl").write_text(json.dumps(event) + "\n")
    places = (str(tmp_path / name) for name in ("in", "out", "kept"))
    settings = {"buckets": 4, "parallelism": 5_000}
    spec = JobSpec("sessions", "local", mode, *places, settings=settings, until_caught_up=True)  # type: ignore[arg-type]
    assert translate.run(spec).balanced
    assert most == [4] and len(submitted) < 50


def test_what_is_spilt_keeps_no_file_open(tmp_path: Path) -> None:
    """Or there could be no more buckets than files that a process may have open."""
    shuffle, before = Shuffle(tmp_path / "spill", budget=0), open_files()
    for spill in range(3):
        shuffle.add(Onward("s", bucket, f"{spill}", pa.table({"n": [spill, bucket]})) for bucket in range(50))
    assert open_files() == before
    assert shuffle.buckets(["s"]) == tuple(range(50))
    for bucket in (0, 49):
        assert shuffle.take(bucket, ["s"]).events["s"] == [(f"{n}", pa.table({"n": [n, bucket]})) for n in range(3)]


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
