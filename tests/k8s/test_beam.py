"""A job on Beam, which runs by the clock: each run a pod with a job server and an SDK harness beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.folder import write
from tests.conformance.random_runs import random_case
from tests.k8s.following import Following, drained, settings
from tests.k8s.team import Pod, Team, team

pytestmark = pytest.mark.k8s

STEPS = 400
"""Of which it saves each 64."""
EVENTS = 10
"""How many views and clicks a step has on average."""


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Following]:
    """The job of a team that has nothing yet."""
    with team("adstream-cli-beam", tmp_path) as ads:
        yield Following(ads, "driver", "driver")


def begin(ads: Team, name: str) -> None:
    """Begins a run now, as the clock would."""
    ads.kubectl("create", "job", name, "--from=cronjob/sessions-driver")


def ends(ads: Team, name: str) -> None:
    """Waits until a run has ended well."""

    def complete() -> bool:
        status = json.loads(ads.kubectl("get", "job", name, "--output=json")).get("status", {})
        given_up = [each for each in status.get("conditions", ()) if each["type"] == "Failed"]
        assert not given_up, ads.described()
        return bool(status.get("succeeded"))

    ads.wait(f"the run '{name}' has ended", complete)


def test_runs_go_on_where_the_last_one_ended_and_a_killed_one_was(job: Following) -> None:
    ads, case = job.ads, random_case(13, STEPS, EVENTS)
    ads.give(write(case, ads.data / "streams", STEPS // 4))
    ads.apply(ads.render("beam", settings(case)))
    ads.kubectl("patch", "cronjob", "sessions-driver", "--patch", '{"spec": {"suspend": true}}')

    begin(ads, "first")
    ends(ads, "first")
    assert job.step == STEPS // 4

    ads.give(write(case, ads.data / "streams", STEPS))
    begin(ads, "second")
    job.reaches(STEPS // 4 + 1)
    killed = ads.running("driver")[0]
    ads.kubectl("delete", "pod", killed.name, "--grace-period=0", "--force")
    assert job.step < STEPS, "the pod was killed too late to show anything"

    def another() -> Pod | None:
        return next((pod for pod in ads.pods("driver") if pod.uid != killed.uid), None)

    ads.wait("another pod has come in its place", another)
    ends(ads, "second")
    assert job.step == STEPS
    drained(case, job)
