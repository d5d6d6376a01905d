"""A job over all there is: as a driver that makes its executors, and as one that Spark starts itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.engines.launch import launch
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.materialise import digest, table
from tests.k8s.team import Pod, Team, team

pytestmark = pytest.mark.k8s

OUTPUTS = ("ad-sessions", "late-events", "dead-letters")


@pytest.fixture
def ads(tmp_path: Path, sample: Path) -> Iterator[Team]:
    """A team whose volume holds the sample."""
    with team("adstream-spark-batch", tmp_path) as made:
        shutil.copytree(sample, made.data / "streams")
        made.give(made.data / "streams")
        yield made


def answer(output: Path) -> list[str]:
    return [digest(table(output, stream, load(stream))) for stream in OUTPUTS]


@pytest.mark.parametrize(
    ("shape", "job", "folder"),
    [
        ("spark-batch", "sessions-driver", "sessions-batch"),
        ("spark-cluster-mode", "sessions-submitter", "sessions-cluster"),
    ],
)
def test_a_batch_job_gives_the_answer_of_the_local_engine(
    ads: Team, sample: Path, tmp_path: Path, shape: str, job: str, folder: str
) -> None:
    ads.apply(ads.render(shape, {"parallelism": 2}, EXECUTORS_MIN="2"))
    seen: dict[str, Pod] = {}

    def ended() -> str:
        seen.update({pod.name: pod for pod in ads.running("executor")})
        path = "jsonpath={.status.conditions[?(@.status=='True')].type}"
        conditions = ads.kubectl("get", "job", job, "--output", path)
        return next((word for word in conditions.split() if word in {"Complete", "Failed"}), "")

    assert ads.wait("the job has ended", ended) == "Complete", ads.described()
    here = JobSpec("sessions", "local", "batch", str(sample), str(tmp_path / "local"), str(tmp_path / "kept"))
    launch(here, lambda _: None)
    there = ads.data / "jobs" / folder
    assert answer(there) == answer(tmp_path / "local")
    assert Summary.load(there).metrics == Summary.load(tmp_path / "local").metrics
    assert len(seen) == 2, f"executors ran as pods: {sorted(seen)}"
    ads.wait("the executors have gone with their driver", lambda: not ads.pods("executor"))
