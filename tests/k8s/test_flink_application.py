"""A job that is a Flink cluster of its own, while its pods are killed: what comes out, and where it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.runtime.metrics import Metrics
from tests.conformance.folder import write
from tests.conformance.job import SETTINGS
from tests.conformance.random_runs import random_case
from tests.k8s.team import Pod, Team, team
from tests.k8s.test_spark_driver import drained, output, step

pytestmark = pytest.mark.k8s

STEPS = 240
EVENTS = 20
"""How many views and clicks a step has on average."""


@pytest.fixture
def ads(tmp_path: Path) -> Iterator[Team]:
    """A team that has nothing yet."""
    with team("adstream-cli-flink", tmp_path) as made:
        yield made


def taken(ads: Team) -> int:
    """How many steps have been complete at some time; those since the last checkpoint are taken again after a failure."""
    return Metrics.load(output(ads) / "_checkpoint").steps


def one(ads: Team, part: str) -> Pod:
    """The pod of a part that is ready, the newest."""
    return ads.wait(f"a {part} is ready", lambda: next((pod for pod in ads.running(part) if pod.ready), None))


def killed(ads: Team, pod: Pod) -> None:
    """Ends a pod without a word to it."""
    ads.kubectl("delete", "pod", pod.name, "--grace-period=0", "--force")


def reaches(ads: Team, steps: int) -> None:
    """Waits until so many steps are complete, and the job is there to say so."""
    ads.wait(f"step {steps} of {STEPS}, at {taken(ads)}", lambda: taken(ads) >= steps)


def test_a_job_manager_and_a_task_manager_that_are_killed_lose_and_double_nothing(ads: Team) -> None:
    case = random_case(11, STEPS, EVENTS)
    settings = {**SETTINGS, **case.job.settings, **case.settings}
    third = STEPS // 3
    ads.give(write(case, ads.data / "streams", third))
    ads.apply(ads.render("flink-application", settings))

    reaches(ads, 5)
    first = one(ads, "jobmanager")
    before = taken(ads)
    killed(ads, first)
    assert before < STEPS
    ads.give(write(case, ads.data / "streams", 2 * third))
    reaches(ads, before + third // 2)
    second = one(ads, "jobmanager")
    assert second.uid != first.uid
    assert len(ads.running("taskmanager")) == 2, "task managers outlive the job manager"

    restarts = second.restarts
    worker = one(ads, "taskmanager")
    killed(ads, worker)
    ads.give(write(case, ads.data / "streams", STEPS))
    reaches(ads, STEPS)
    ads.wait("the job is ready again", lambda: one(ads, "jobmanager").ready)
    third_time = one(ads, "jobmanager")
    assert third_time.uid == second.uid and third_time.restarts == restarts + 1, "the job failed and began anew"
    assert worker.uid not in {pod.uid for pod in ads.pods("taskmanager")}

    ads.kubectl("delete", "deployment", "sessions-jobmanager", "sessions-taskmanager")
    ads.wait("all pods have gone", lambda: not ads.pods("jobmanager") and not ads.pods("taskmanager"))
    assert 0 < step(ads) <= STEPS
    drained(case, ads)
