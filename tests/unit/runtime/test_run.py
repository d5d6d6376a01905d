"""What a run makes sure of before it goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import common.runtime.run as runs
from common.contracts.contract import load
from common.engines.local.translate import run
from common.errors import AdstreamError
from common.runtime.checkpoint import Checkpoint
from common.runtime.history import TakenStep, taken_steps
from common.runtime.metrics import Metrics
from common.runtime.reset import forget
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.streams.materialise import records, table
from common.streams.sink import FolderSink

GAP, START = 1_800_000, 1_600_000_000_000


@dataclass(frozen=True)
class Keeping(FolderSink):
    """What a broker is to a run: a step that was delivered stays as it is."""

    def recover(self, step: str) -> None:
        """Takes nothing back."""

    def delivered(self) -> int:
        """As the files tell."""
        return max((int(path.name.partition(".")[0]) for path in Path(self.root, "ad-sessions").glob("*")), default=-1)


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    """A job of two steps; the second one closes the session of the first."""
    places = (str(tmp_path / name) for name in ("in", "out", "kept"))
    arrive(tmp_path / "in", 1, START)
    arrive(tmp_path / "in", 2, START + GAP + 1)
    return JobSpec("sessions", "local", "stream", *places, settings={"out_of_orderness": 0}, until_caught_up=True)


def arrive(root: Path, number: int, time: int) -> None:
    for stream in ("ad-views", "ad-clicks"):
        (root / stream).mkdir(parents=True, exist_ok=True)
        event = {"key": f"user-{number}", "value": {"advertisementId": 1, "createdEventTime": time}}
        (root / stream / f"{number}.jsonl").write_text(json.dumps(event) + "\n")


def killed_behind_the_second_delivery(spec: JobSpec, patch: pytest.MonkeyPatch) -> None:
    saved = Checkpoint.save

    def save(checkpoint: Checkpoint, manifest: runs.Manifest) -> None:
        if manifest.step == 2:
            raise KeyboardInterrupt
        saved(checkpoint, manifest)

    with patch.context() as killing:
        killing.setattr(Checkpoint, "save", save)
        with pytest.raises(KeyboardInterrupt):
            run(spec)


def test_a_step_that_the_sink_has_is_taken_again_under_its_own_terms_only(
    spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "open_sink", lambda root, form, contracts: Keeping(str(root), form, contracts))
    killed_behind_the_second_delivery(spec, monkeypatch)
    assert Run.open(spec).sink.delivered() == 1
    other = replace(spec, settings={"out_of_orderness": 600_000})
    with pytest.raises(AdstreamError, match=r"has step 1 .* made with out_of_orderness=0s?, but now it is 10m"):
        run(other)
    run(spec)
    run(other)
    run(spec)
    assert table(spec.output, "ad-sessions", load("ad-sessions")).num_rows == 1


def test_terms_that_a_step_was_taken_under_are_kept_with_it(spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "open_sink", lambda root, form, contracts: Keeping(str(root), form, contracts))
    for path in Path(spec.input).glob("*/2.jsonl"):
        path.unlink()
    run(spec)
    arrive(Path(spec.input), 2, START + GAP + 1)
    other = replace(spec, settings={"out_of_orderness": 1})
    killed_behind_the_second_delivery(other, monkeypatch)
    kept = Checkpoint(spec.checkpoint).load()
    assert kept is not None and kept.step == 1 and kept.clock.out_of_orderness == 1
    run(other)


def test_a_job_that_was_drained_takes_no_more(spec: JobSpec) -> None:
    run(replace(spec, drain=True))
    run(spec)
    arrive(Path(spec.input), 3, START + 10 * GAP)
    with pytest.raises(AdstreamError, match="the input of this job has ended"):
        run(spec)
    assert [batch.num_rows for batch in records(spec.output, "late-events", load("late-events"))] == []


def test_numbers_beside_a_checkpoint_that_is_no_folder_are_forgotten_with_it(spec: JobSpec, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    remote = replace(spec, checkpoint=f"file://{tmp_path}/store")
    Metrics(steps=3).save(remote.workplace)
    TakenStep(step=2, completed=1).append(remote.workplace)
    forget(remote)
    assert Metrics.load(remote.workplace) == Metrics()
    assert taken_steps(remote.workplace) == []
