"""A job that follows its input in pods: how far it is, and whether what it has written is the oracle's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.engines.launch import launch
from common.runtime.checkpoint import Checkpoint
from common.runtime.spec import JobSpec
from tests.conformance.case import Case
from tests.conformance.folder import write
from tests.conformance.job import SETTINGS
from tests.conformance.kit import Ending, check
from tests.conformance.outcome import read_outcome
from tests.conformance.random_runs import random_case
from tests.k8s.team import Pod, Team


@dataclass(frozen=True)
class Following:
    """The job `sessions` of a team.

    Attributes:
        ads: The team.
        leader: The part whose pod runs `adstream run`.
        workers: The part of its workers.
        name: What its objects and its output are named: the job, or a revision of it.
    """

    ads: Team
    leader: str
    workers: str
    name: str = "sessions"

    @property
    def output(self) -> Path:
        return self.ads.data / "jobs" / self.name

    @property
    def step(self) -> int:
        """How many steps the job has completed."""
        manifest = Checkpoint(self.output / "_checkpoint").load()
        return manifest.step if manifest else 0

    def lead(self, after: str = "") -> Pod:
        """The pod that leads, once it is ready.

        Args:
            after: The uid of the pod that led before.
        """

        def found() -> Pod | None:
            return next((pod for pod in self.ads.running(self.leader) if pod.ready and pod.uid != after), None)

        return self.ads.wait(f"another {self.leader} is ready", found)

    def reaches(self, steps: int) -> None:
        """Waits until the job has completed so many steps."""
        self.ads.wait(f"step {steps}", lambda: self.step >= steps)

    def served(self, pod: Pod, path: str) -> str:
        """What a leading pod says over HTTP."""
        return self.ads.kubectl(
            "get", "--raw", f"/api/v1/namespaces/{self.ads.name}/pods/http:{pod.name}:9108/proxy/{path}"
        )

    def gone(self) -> None:
        """Waits until the job has no pods."""
        self.ads.wait("all pods have gone", lambda: not self.ads.pods(self.leader) and not self.ads.pods(self.workers))


def arrived(ads: Team, seed: int, steps: int, events: int) -> Case:
    """Puts a random case on a team's volume.

    Args:
        ads: The team.
        seed: The case's seed.
        steps: How many steps it has,
        events: and how many views and clicks a step has on average.
    """
    case = random_case(seed, steps, events)
    ads.give(write(case, ads.data / "streams", steps))
    return case


def settings(case: Case) -> dict[str, Any]:
    """All settings of a case."""
    return {**SETTINGS, **case.job.settings, **case.settings}


def drained(case: Case, job: Following) -> None:
    """Ends a job on the local engine, from the checkpoint that its pods left; each of its steps must be the oracle's."""
    spec = JobSpec(
        job="sessions",
        engine="local",
        mode="stream",
        input=str(job.ads.data / "streams"),
        output=str(job.output),
        checkpoint=str(job.output / "_checkpoint"),
        settings=settings(case),
        until_caught_up=True,
        drain=True,
    )
    launch(spec, lambda _: None)
    check(case, read_outcome(job.output, case.job), Ending.of(case))
