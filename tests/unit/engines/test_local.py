"""The local engine, in this process."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.engines.local import translate
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
