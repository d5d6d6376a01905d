"""A job that is a Flink cluster of its own: what comes out while its pods are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s.following import Following, arrived, drained, settings
from tests.k8s.team import team

pytestmark = pytest.mark.k8s

STEPS = 600
"""A step takes less than a tenth of a second, and each second they are saved."""
EVENTS = 10
"""How many views and clicks a step has on average."""


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Following]:
    """The job of a team that has nothing yet."""
    with team("adstream-spark-flink", tmp_path) as ads:
        yield Following(ads, "jobmanager", "taskmanager")


def test_pods_that_are_deleted_lose_and_double_nothing(job: Following) -> None:
    ads = job.ads
    case = arrived(ads, 12, STEPS, EVENTS)
    ads.apply(ads.render("flink-application", {**settings(case), "checkpoint": {"interval": "1s"}}))
    first = job.lead()
    job.reaches(5)
    ads.kubectl("delete", "pod", first.name, "--grace-period=0", "--force")
    second = job.lead(after=first.uid)
    before = job.step
    assert 5 <= before < STEPS, "the job manager was killed too late to show anything"
    job.reaches(before + 3)
    assert job.step < STEPS, "the task manager was killed too late to show anything"
    killed = ads.running("taskmanager")[0]
    ads.kubectl("delete", "pod", killed.name, "--grace-period=0", "--force")
    job.reaches(STEPS)
    assert killed.uid not in {pod.uid for pod in ads.pods("taskmanager")}
    assert job.lead().uid == second.uid, "the pod has stayed; what it runs has started anew"
    ads.kubectl("delete", "deployment", "sessions-jobmanager", "sessions-taskmanager")
    job.gone()
    drained(case, job)
