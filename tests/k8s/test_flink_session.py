"""A small job on a Flink cluster that it shares: its driver is killed, and leaves no second job behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from common.runtime.metrics import Metrics
from tests.conformance.folder import write
from tests.conformance.random_runs import random_case
from tests.k8s.following import Following, drained, settings
from tests.k8s.team import OVERLAYS, team

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


def test_a_driver_that_is_killed_leaves_no_second_job_behind(job: Following) -> None:
    ads, case = job.ads, random_case(7, STEPS, EVENTS)
    ads.give(write(case, ads.data / "streams", STEPS // 2))
    ads.wait("a task manager is ready", lambda: [pod for pod in ads.running("taskmanager") if pod.ready])
    ads.apply(ads.render("flink-session", settings(case)))
    ads.wait("step 5", lambda: taken(job) >= 5)
    first = job.lead()
    ads.kubectl("delete", "pod", first.name, "--grace-period=0", "--force")
    ads.give(write(case, ads.data / "streams", STEPS))
    job.lead(after=first.uid)
    ads.wait(f"step {STEPS}", lambda: taken(job) >= STEPS)

    path = f"/api/v1/namespaces/{ads.name}/services/http:shared-jobmanager:rest/proxy/jobs/overview"
    states = [each["state"] for each in json.loads(ads.kubectl("get", "--raw", path))["jobs"]]
    assert sorted(states) == ["CANCELED", "RUNNING"], "the cluster has ended the job of the driver that was killed"

    ads.kubectl("delete", "deployment", "sessions-driver")
    job.gone()
    drained(case, job)
