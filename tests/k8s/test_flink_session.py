"""A small job on a Flink cluster that it shares: its driver, and the cluster's job manager, are killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conformance.folder import write
from tests.conformance.job import SETTINGS
from tests.conformance.random_runs import random_case
from tests.k8s.team import OVERLAYS, Team, team
from tests.k8s.test_flink_application import killed, one, taken
from tests.k8s.test_spark_driver import drained

pytestmark = pytest.mark.k8s

STEPS = 120
EVENTS = 20
"""How many views and clicks a step has on average."""


@pytest.fixture
def ads(tmp_path: Path) -> Iterator[Team]:
    """A team with a shared cluster."""
    with team("adstream-cli-session", tmp_path) as made:
        folder = made.work / "cluster"
        folder.mkdir()
        resources = [os.path.relpath(OVERLAYS / "flink-cluster", folder)]
        (folder / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": made.name, "resources": resources}))
        made.apply(made.kubectl("kustomize", str(folder)))
        yield made


def test_a_driver_that_is_killed_leaves_no_second_job_behind(ads: Team) -> None:
    case = random_case(7, STEPS, EVENTS)
    ads.give(write(case, ads.data / "streams", STEPS // 2))
    one(ads, "taskmanager")
    ads.apply(ads.render("flink-session", {**SETTINGS, **case.job.settings, **case.settings}))
    ads.wait("step 5", lambda: taken(ads) >= 5)
    first = one(ads, "driver")
    killed(ads, first)
    ads.give(write(case, ads.data / "streams", STEPS))
    ads.wait("another driver", lambda: one(ads, "driver").uid != first.uid)
    ads.wait(f"all {STEPS} steps", lambda: taken(ads) >= STEPS)

    path = f"/api/v1/namespaces/{ads.name}/services/http:shared-jobmanager:rest/proxy/jobs/overview"
    states = [job["state"] for job in yaml.safe_load(ads.kubectl("get", "--raw", path))["jobs"]]
    assert sorted(states) == ["CANCELED", "RUNNING"], "the cluster ended the job of the driver that was killed"

    ads.kubectl("delete", "deployment", "sessions-driver")
    ads.wait("the driver has gone", lambda: not ads.pods("driver"))
    drained(case, ads)
