"""A small job on a Flink cluster that it shares: its driver is killed, and leaves no second job behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from common.runtime.metrics import Metrics
from tests.conformance.case import Case
from tests.conformance.folder import write
from tests.conformance.random_runs import random_case
from tests.k8s.following import Following, drained, settings
from tests.k8s.team import OVERLAYS, Team, team

pytestmark = pytest.mark.k8s

STEPS = 120
EVENTS = 20
"""How many views and clicks a step has on average."""


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Following]:
    """The job of a team that has a shared cluster, and nothing on it yet."""
    with team("adstream-cli-session", tmp_path) as ads:
        folder = ads.work / "cluster"
        folder.mkdir()
        resources = [os.path.relpath(OVERLAYS / "flink-cluster", folder)]
        (folder / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": ads.name, "resources": resources}))
        ads.apply(ads.kubectl("kustomize", str(folder)))
        yield Following(ads, "driver", "executor")


def taken(job: Following) -> int:
    """How many steps are complete, those included that the next checkpoint will hold."""
    return Metrics.load(job.output / "_checkpoint").steps


def arrive(ads: Team, case: Case, steps: int) -> None:
    """Lets the first steps of a case be there, all at one moment: a job that looks in between would take half a step."""
    folder = write(case, ads.data / f"streams-{steps}", steps)
    ads.give(folder)
    link = ads.data / "streams.new"
    link.symlink_to(folder.name)
    link.replace(ads.data / "streams")


def test_a_driver_that_is_killed_leaves_no_second_job_behind(job: Following) -> None:
    ads, case = job.ads, random_case(7, STEPS, EVENTS)
    arrive(ads, case, STEPS // 2)
    ads.wait("a task manager is ready", lambda: [pod for pod in ads.running("taskmanager") if pod.ready])
    ads.apply(ads.render("flink-session", settings(case)))
    ads.wait("step 5", lambda: taken(job) >= 5)
    first = job.lead()
    ads.kubectl("delete", "pod", first.name, "--grace-period=0", "--force")
    arrive(ads, case, STEPS)
    job.lead(after=first.uid)
    ads.wait(f"step {STEPS}", lambda: taken(job) >= STEPS)

    path = f"/api/v1/namespaces/{ads.name}/services/http:shared-jobmanager:rest/proxy/jobs/overview"

    def states() -> list[str]:
        return sorted(each["state"] for each in json.loads(ads.kubectl("get", "--raw", path))["jobs"])

    ads.wait("the job of the killed driver is ended, and another runs", lambda: states() == ["CANCELED", "RUNNING"])

    ads.kubectl("delete", "deployment", "sessions-driver")
    job.gone()
    drained(case, job)
