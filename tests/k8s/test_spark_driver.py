"""A job whose driver is a Deployment: what comes out while pods are deleted, and how many pods there are when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.runtime.checkpoint import Checkpoint
from common.runtime.spec import JobSpec
from tests.conformance.case import Case
from tests.conformance.folder import write
from tests.conformance.job import SETTINGS
from tests.conformance.kit import Ending, check
from tests.conformance.outcome import read_outcome
from tests.conformance.random_runs import random_case
from tests.k8s.team import Pod, Team, team

pytestmark = pytest.mark.k8s

STEPS = 60
EVENTS = 40
"""How many views and clicks a step has on average."""


@pytest.fixture
def ads(tmp_path: Path) -> Iterator[Team]:
    """A team that has nothing yet."""
    with team("adstream-spark", tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def rights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team that runs nothing."""
    with team("adstream-spark-rights", tmp_path_factory.mktemp("rights")) as made:
        yield made


def output(ads: Team) -> Path:
    return ads.data / "jobs" / "sessions"


def step(ads: Team) -> int:
    """How many steps the job has completed."""
    manifest = Checkpoint(output(ads) / "_checkpoint").load()
    return manifest.step if manifest else 0


def driver(ads: Team) -> Pod:
    """The driver that is ready."""
    return ads.wait("a driver is ready", lambda: next((pod for pod in ads.running("driver") if pod.ready), None))


def executors(ads: Team, count: int, owner: Pod) -> list[Pod]:
    """The executors of a driver, once there are so many."""

    def found() -> list[Pod]:
        pods = [pod for pod in ads.running("executor") if pod.owner == owner.uid]
        return pods if len(pods) == count else []

    return ads.wait(f"{count} executors run for {owner.name}", found)


def served(ads: Team, pod: Pod, path: str) -> str:
    """What a driver says over HTTP."""
    return ads.kubectl("get", "--raw", f"/api/v1/namespaces/{ads.name}/pods/http:{pod.name}:9108/proxy/{path}")


def reaches(ads: Team, steps: int) -> None:
    """Waits until the job has completed so many steps."""
    ads.wait(f"step {steps} of {STEPS}, at {step(ads)}", lambda: step(ads) >= steps)


def drained(case: Case, ads: Team) -> None:
    """Ends the job on the local engine, from the checkpoint that the pods left, and compares each step with the oracle's."""
    spec = JobSpec(
        job="sessions",
        engine="local",
        mode="stream",
        input=str(ads.data / "streams"),
        output=str(output(ads)),
        checkpoint=str(output(ads) / "_checkpoint"),
        settings={**case.job.settings, **case.settings},
        until_caught_up=True,
        drain=True,
    )
    launch(spec, lambda _: None)
    check(case, read_outcome(output(ads), case.job), Ending.of(case))


def test_pods_that_are_deleted_lose_and_double_nothing(ads: Team) -> None:
    case = random_case(11, STEPS, EVENTS)
    ads.give(write(case, ads.data / "streams", STEPS))
    ads.apply(ads.render("spark-driver", {**SETTINGS, **case.job.settings, **case.settings}, EXECUTORS_MIN="2"))

    first = driver(ads)
    old = executors(ads, 2, first)
    reaches(ads, 5)
    ads.kubectl("delete", "pod", first.name, "--wait=false")
    second = driver(ads)
    assert second.uid != first.uid and 5 <= step(ads) < STEPS
    new = executors(ads, 2, second)
    assert not {pod.uid for pod in old} & {pod.uid for pod in ads.pods("executor")}, "the old executors have gone"

    reaches(ads, step(ads) + 3)
    assert step(ads) < STEPS
    ads.kubectl("delete", "pod", new[0].name, "--grace-period=0", "--force")
    reaches(ads, STEPS)
    assert f'adstream_steps_total{{engine="spark",job="sessions"}} {float(STEPS)}' in served(ads, second, "metrics")
    assert "nothing waits" in served(ads, second, "healthz")
    again = executors(ads, 2, second)
    assert new[0].uid not in {pod.uid for pod in again}, "another executor has come in its place"
    assert driver(ads).uid == second.uid and driver(ads).restarts == 0, "the driver has not noticed"

    ads.kubectl("delete", "deployment", "sessions-driver")
    ads.wait("all pods have gone", lambda: not ads.pods("driver") and not ads.pods("executor"))
    drained(case, ads)


def test_executors_come_with_the_load_and_go_when_idle(ads: Team, tmp_path: Path) -> None:
    settings = GeneratorSettings(events=1_500_000, users=50_000, files=15, malformed=0.0)
    generate(settings, ads.data / "streams", "parquet")
    ads.give(ads.data / "streams")
    size = {"EXECUTORS_MIN": "1", "EXECUTORS_MAX": "3", "EXECUTOR_IDLE": "15s"}
    ads.apply(ads.render("spark-driver", {"parallelism": 6}, **size))
    first = driver(ads)
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, len(ads.running("executor")))
        return step(ads) >= settings.files

    ads.wait(f"{settings.files} steps", done)
    assert most == 3, f"{most} executors at most"
    executors(ads, 1, first)
    assert driver(ads).restarts == 0
    ads.kubectl("delete", "deployment", "sessions-driver")


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
