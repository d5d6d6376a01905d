"""A job whose driver is a Deployment: what comes out while pods are deleted, and how many pods there are when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from tests.k8s.following import Following, arrived, drained, settings
from tests.k8s.team import Pod, Team, team

pytestmark = pytest.mark.k8s

STEPS = 40
EVENTS = 40
"""How many views and clicks a step has on average."""


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Following]:
    """The job of a team that has nothing yet."""
    with team("adstream-spark", tmp_path) as ads:
        yield Following(ads, "driver", "executor")


@pytest.fixture(scope="module")
def rights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team that runs nothing."""
    with team("adstream-spark-rights", tmp_path_factory.mktemp("rights")) as made:
        yield made


def executors(job: Following, count: int, owner: Pod) -> list[Pod]:
    """The executors of a driver, once there are so many."""

    def found() -> list[Pod]:
        pods = [pod for pod in job.ads.running("executor") if pod.owner == owner.uid]
        return pods if len(pods) == count else []

    return job.ads.wait(f"{count} executors run for {owner.name}", found)


def test_pods_that_are_deleted_lose_and_double_nothing(job: Following) -> None:
    ads = job.ads
    case = arrived(ads, 11, STEPS, EVENTS)
    ads.apply(ads.render("spark-driver", settings(case), EXECUTORS_MIN="2"))

    first = job.lead()
    old = executors(job, 2, first)
    job.reaches(5)
    ads.kubectl("delete", "pod", first.name, "--wait=false")
    second = job.lead(after=first.uid)
    assert 5 <= job.step < STEPS, "the driver was deleted too late to show anything"
    new = executors(job, 2, second)
    ads.wait("the old executors have gone", lambda: not {p.uid for p in old} & {p.uid for p in ads.pods("executor")})

    job.reaches(job.step + 3)
    assert job.step < STEPS, "the executor was killed too late to show anything"
    ads.kubectl("delete", "pod", new[0].name, "--grace-period=0", "--force")
    job.reaches(STEPS)
    again = executors(job, 2, second)
    assert new[0].uid not in {pod.uid for pod in again}, "another executor has come in its place"
    assert job.lead().uid == second.uid
    assert f'adstream_steps_total{{engine="spark",job="sessions"}} {float(STEPS)}' in job.served(second, "metrics")
    assert "nothing waits" in job.served(second, "healthz")

    ads.kubectl("delete", "deployment", "sessions-driver")
    job.gone()
    drained(case, job)


def test_executors_come_with_the_load_and_go_when_idle(job: Following) -> None:
    made = GeneratorSettings(events=1_500_000, users=50_000, files=15, malformed=0.0)
    ads = job.ads
    generate(made, ads.data / "streams", "parquet")
    ads.give(ads.data / "streams")
    size = {"EXECUTORS_MIN": "1", "EXECUTORS_MAX": "3", "EXECUTOR_IDLE": "15s"}
    ads.apply(ads.render("spark-driver", {"parallelism": 6}, **size))
    first = job.lead()
    counts = [1]

    def done() -> bool:
        counts.append(len(ads.running("executor")))
        return job.step >= made.files

    ads.wait(f"{made.files} steps", done)
    assert max(counts) == 3, counts
    executors(job, 1, first)
    assert job.lead().restarts == 0
    ads.kubectl("delete", "deployment", "sessions-driver")
    job.gone()


@pytest.mark.parametrize(
    ("verb", "thing", "may"),
    [
        ("create", "pods", "yes"),
        ("delete", "pods", "yes"),
        ("get", "secrets", "no"),
        ("list", "secrets", "no"),
        ("create", "pods --subresource=exec", "no"),
        ("create", "deployments.apps", "no"),
        ("create", "configmaps", "no"),
        ("get", "pods --subresource=log", "no"),
    ],
)
def test_a_driver_may_make_pods_and_read_no_secrets(rights: Team, verb: str, thing: str, may: str) -> None:
    account = f"system:serviceaccount:{rights.name}:driver"
    assert rights.said("auth", "can-i", verb, *thing.split(), "--as", account) == may


def test_a_pod_that_is_not_restricted_is_refused(rights: Team) -> None:
    said = rights.said("run", "root", "--image=localhost/adstream-spark:0.1.0", "--privileged")
    assert 'violates PodSecurity "restricted' in said
