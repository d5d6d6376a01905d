"""`adstream autoscale`: what it sees of a real run, what it decides, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import yaml

from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import only_writer
from common.runtime.metrics import Metrics
from common.scaling.loop import DECISIONS, STATE, Memory
from tests.unit.cli.conftest import Adstream

HASTY = ("--up-after", "0s", "--down-after", "0s", "--cool-down", "0s", "--once")


@pytest.fixture
def output(adstream: Adstream, tmp_path: Path) -> Path:
    """The output of a run that took all but the last file of each stream."""
    generate(GeneratorSettings(events=2_000, users=50, files=3), tmp_path / "in")
    for stream in ("ad-views", "ad-clicks"):
        (tmp_path / "held" / stream).mkdir(parents=True)
        last = max((tmp_path / "in" / stream).iterdir())
        last.rename(tmp_path / "held" / stream / last.name)
    where = ("--input", tmp_path / "in", "--output", tmp_path / "out", "--mode", "stream", "--until-caught-up")
    assert adstream("run", "sessions", "--engine", "local", *where).code == 0
    return tmp_path / "out"


def arrive(output: Path, age: float) -> None:
    for path in (output.parent / "held").glob("*/*"):
        target = output.parent / "in" / path.parent.name / path.name
        shutil.copy(path, target)
        os.utime(target, (time.time() - age, time.time() - age))


def decisions(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output / DECISIONS).read_text().splitlines()]


def test_a_job_that_is_behind_would_get_more(adstream: Adstream, output: Path) -> None:
    arrive(output, age=600)
    said = adstream("autoscale", "sessions", "--output", output, "--dry-run", *HASTY)
    assert said.code == 0
    assert "parallelism 2 -> 4: its next record waits for 10m" in said.err
    (decision,) = decisions(output)
    assert decision["target"] == 4 and 600_000 <= int(str(decision["lag"])) < 900_000
    assert Memory.load(output / STATE).state.changed is not None


def test_a_job_that_has_nothing_to_do_would_get_fewer(adstream: Adstream, output: Path) -> None:
    assert adstream("autoscale", "sessions", "--output", output, "--dry-run", *HASTY).code == 0
    time.sleep(0.05)
    said = adstream("autoscale", "sessions", "--output", output, "--dry-run", *HASTY)
    assert "parallelism 2 -> 1: 1 would be 0% busy" in said.err
    assert [decision["target"] for decision in decisions(output)] == [2, 1]


def test_what_can_not_be_scaled_is_told_and_looked_at_again(
    adstream: Adstream, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    arrive(output, age=600)
    with only_writer(output):
        said = adstream("autoscale", "sessions", "--output", output, *HASTY)
    assert said.code == 0 and "was not given 4 tasks (exit code 1)" in said.err


def test_a_job_that_was_stopped_is_not_started(adstream: Adstream, output: Path) -> None:
    arrive(output, age=600)
    before = Metrics.load(output / "_checkpoint")
    said = adstream("autoscale", "sessions", "--output", output, *HASTY)
    assert said.code == 0 and "job 'sessions' does not run" in said.err
    assert Metrics.load(output / "_checkpoint") == before


def test_an_input_that_is_gone_is_no_reason_for_anything(adstream: Adstream, output: Path) -> None:
    (output.parent / "in").rename(output.parent / "away")
    said = adstream("autoscale", "sessions", "--output", output, "--dry-run", *HASTY)
    assert said.code == 0 and "nothing is decided" in said.err
    assert not (output / DECISIONS).exists()


def test_the_policy_is_rendered_for_kubernetes(adstream: Adstream) -> None:
    said = adstream("autoscale", "sessions", "--render", "keda", "--workers", "executors", "--min", "2", "--max", "6")
    scaled = yaml.safe_load(said.out)
    assert (scaled["kind"], scaled["spec"]["scaleTargetRef"]["name"]) == ("ScaledObject", "executors")
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (2, 6)
    behaviour = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] == 120
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == 900
    (trigger,) = scaled["spec"]["triggers"]
    assert 'adstream_busy_seconds_total{job="sessions"}' in trigger["metadata"]["query"]


def test_no_policy_is_rendered_for_a_job_that_is_not_there(adstream: Adstream) -> None:
    said = adstream("autoscale", "sesions", "--render", "keda")
    assert (said.code, said.out, said.error) == (2, "", "adstream: unknown job 'sesions': did you mean 'sessions'?")


def test_without_an_output_there_is_nothing_to_look_at(adstream: Adstream) -> None:
    assert adstream("autoscale", "sessions").code == 2
