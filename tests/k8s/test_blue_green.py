"""A release beside what runs, on a real cluster: one that full stop refuses, bad ones, and ones that are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from common.cli.main import invoke
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.errors import AdstreamError, ExitCode
from common.kubernetes.kubectl import Kubectl
from common.kubernetes.live import Live
from common.runtime.metrics import Metrics
from tests.conformance.case import Case
from tests.conformance.jobs.sessions import SESSIONS
from tests.k8s.following import Following, arrived, drained, settings
from tests.k8s.team import ROOT, Team, team

pytestmark = pytest.mark.k8s

STEPS = 20
EVENTS = 40
"""How many views and clicks a step has on average."""
FILES = 6
BAD = 400
FUTURE_MS = 2 * 86_400_000
CAUGHT_UP = "has caught up with"
Printed = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Releases:
    """The job `sessions` of a team, as it is released there.

    Attributes:
        ads: The team.
        shape: The overlay's.
    """

    ads: Team
    shape: str

    def line(self, command: str, *arguments: str) -> list[str]:
        """A command about the job, as it is typed."""
        return ["k8s", command, "sessions", "--overlay", f"local/{self.shape}", "-n", self.ads.name, *arguments]

    def adstream(self, command: str, *arguments: str) -> int:
        return invoke(self.line(command, *arguments))

    def beside(self, *arguments: str, watch: str = "15s") -> list[str]:
        """A release beside what runs."""
        return self.line("deploy", "--strategy", "blue-green", "--watch", watch, *arguments)

    @contextmanager
    def releasing(self, until: str, *arguments: str, watch: str = "10m") -> Iterator[subprocess.Popen[str]]:
        """A release beside what runs in a process of its own, once it has said something."""
        line = [sys.executable, "-m", "common.cli.main", *self.beside(*arguments, watch=watch)]
        with subprocess.Popen(line, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            said = []
            for each in process.stdout:
                said.append(each)
                if until in each:
                    break
            else:
                pytest.fail(f"it never said '{until}': {''.join(said)}")
            yield process

    @property
    def live(self) -> Live:
        return Live.of(Kubectl.found(self.ads.name), "sessions")

    @property
    def deployments(self) -> dict[str, str]:
        """What runs: the names of Deployments, and which one it is."""
        content = json.loads(self.ads.kubectl("get", "deployments", "--output=json"))
        return {item["metadata"]["name"]: item["metadata"]["uid"] for item in content["items"]}

    @property
    def standing(self) -> set[str]:
        """All that there is of the job, the pods by their uid."""
        kinds = "deployments,pods,services,configmaps,poddisruptionbudgets,jobs"
        columns = "--output=jsonpath={range .items[*]}{.kind}/{.metadata.name}/{.metadata.uid}{'\\n'}{end}"
        return set(
            self.ads.kubectl("get", kinds, "--selector=app.kubernetes.io/part-of=adstream", columns).splitlines()
        )

    def at(self, name: str) -> Path:
        """Where a revision writes."""
        return self.ads.data / "jobs" / name


def taken(output: Path) -> tuple[int, int]:
    """How many steps a job has completed, those included that the next checkpoint will hold; and its dead letters."""
    metrics = Metrics.load(output / "_checkpoint")
    return metrics.steps, metrics.counters.get("dead_letters", 0)


def config(case: Case, work: Path) -> str:
    """A case's settings as a file; a single task, so that two releases find room side by side."""
    path = work / f"gap-{case.setting('gap')}.yaml"
    path.write_text(yaml.safe_dump({"sessions": {**settings(case), "parallelism": 1}}))
    return str(path)


def of_gap(case: Case, gap: int) -> Case:
    """The same arrivals, and what the oracle says of them at another gap."""
    return SESSIONS.expect(replace(case, settings={**case.settings, "gap": gap}))


def test_a_release_that_the_state_does_not_allow_takes_over_from_one_that_never_noticed(
    tmp_path: Path, capsys: Printed
) -> None:
    with team("adstream-cli-beside", tmp_path) as ads, ads.acting("deployer"):
        job = Releases(ads, "spark-driver")
        blue, green = (of_gap(arrived(ads, 21, STEPS, EVENTS), gap) for gap in (10, 25))
        assert blue.table() != green.table(), "nothing is shown by two settings with one answer"
        assert invoke(job.beside("--config", config(blue, tmp_path))) == ExitCode.OK
        assert job.live.revision == "", "a job that does not run is released plainly"
        assert job.live.output == "/data/jobs/sessions"
        ads.wait("blue has taken all", lambda: taken(job.at("sessions"))[0] == STEPS)
        before = job.standing

        capsys.readouterr()
        assert job.adstream("deploy", "--config", config(green, tmp_path)) == ExitCode.REFUSED
        assert "sessions.gap" in capsys.readouterr().err
        sink = "SINK=kafka://127.0.0.1:1?registry=http://127.0.0.1:1"
        assert invoke(job.beside("--config", config(green, tmp_path), "--value", sink)) == ExitCode.REFUSED
        assert "two releases side by side would write everything twice" in capsys.readouterr().err
        assert invoke(job.beside("--config", config(green, tmp_path), "--value", "INPUT=/data/no")) == ExitCode.REFUSED
        assert "the release was stopped by the check before it" in capsys.readouterr().err
        assert job.standing == before

        assert invoke(job.beside("--config", config(green, tmp_path))) == ExitCode.OK
        said = capsys.readouterr()
        name = job.live.name
        assert name != "sessions"
        assert f"{name} has caught up with sessions" in said.err
        assert said.out.splitlines()[-1] == "sessions: released; what sessions wrote stays in /data/jobs/sessions"
        assert set(job.deployments) == {f"{name}-driver"}
        assert job.live.output == f"/data/jobs/{name}"
        ads.wait("only green's pods are left", lambda: len(ads.pods("driver")) == 1)
        drained(blue, Following(ads, "driver", "executor"))

        assert job.adstream("status") == ExitCode.OK
        said = capsys.readouterr()
        assert f"{name} is live, its output is /data/jobs/{name}" in said.out
        assert f"{name}: watermark lag" in said.out
        assert f"{STEPS} steps" in said.out
        assert job.adstream("scale", "--parallelism", "2") == ExitCode.OK
        assert set(job.deployments) == {f"{name}-driver"}
        assert job.adstream("delete") == ExitCode.OK
        following = Following(ads, "driver", "executor", name)
        following.gone()
        assert job.live.output == f"/data/jobs/{name}", "which output is the answer is known for as long as it is kept"
        drained(green, following)


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """A team whose last arrivals are of tomorrow."""
    with team("adstream-cli-beside-flink", tmp_path_factory.mktemp("flink")) as ads:
        generate(GeneratorSettings(events=6_000, files=FILES - 1, malformed=0.0), ads.data / "streams", "jsonl")
        ahead = int(time.time() * 1000) + FUTURE_MS
        event = {"advertisementId": 1, "createdEventTime": ahead}
        for stream, count in (("ad-views", BAD), ("ad-clicks", 0)):
            lines = "".join(f"{json.dumps({'key': f'u{n}', 'value': event})}\n" for n in range(count))
            (ads.data / "streams" / stream / f"{FILES:05d}.jsonl").write_text(lines)
        ads.give(ads.data / "streams")
        with ads.acting("deployer"):
            yield Releases(ads, "flink-application")


def told(gap: str, skew: str = "30d") -> tuple[str, ...]:
    return ("--set", f"gap={gap}", "--set", f"max_future_skew={skew}", "--set", "parallelism=1")


def test_a_release_whose_dead_letters_burst_is_taken_away(flink: Releases, capsys: Printed) -> None:
    assert flink.adstream("deploy", *told("20m"), "--watch", "5s") == ExitCode.OK
    flink.ads.wait("blue has taken all", lambda: taken(flink.at("sessions")) == (FILES, 0))
    before = flink.standing
    capsys.readouterr()
    assert invoke(flink.beside(*told("30m", "1h"))) == ExitCode.REFUSED
    said = capsys.readouterr().err
    assert "the release of 'sessions' was taken away, and sessions goes on" in said
    assert f"{BAD} of its" in said
    assert "are dead letters, 0 would be by the running one" in said
    flink.ads.wait("green's pods have gone", lambda: flink.standing <= before)
    assert flink.standing == before, "blue's pods are the same, and nothing of green is left"
    assert (flink.live.name, flink.live.output) == ("sessions", "/data/jobs/sessions")


def test_a_release_that_is_killed_before_and_behind_the_switch_is_gone_on_with(
    flink: Releases, capsys: Printed
) -> None:
    with flink.releasing(CAUGHT_UP, *told("30m")) as process:
        process.kill()
    left, beside = flink.deployments, flink.live.beside
    assert len(left) == 4
    assert flink.live.revision == ""
    assert flink.adstream("status") == ExitCode.OK
    said = capsys.readouterr().out
    assert "sessions is live" in said
    assert f"sessions-{beside}: watermark lag" in said

    with flink.releasing(f"sessions-{beside} is live", *told("30m"), watch="15s") as process:
        process.kill()
    assert flink.live.revision == beside, "it went on with what was there"
    assert invoke(flink.beside(*told("30m"))) == ExitCode.OK
    assert f"sessions-{beside} is live, and is that already" in capsys.readouterr().out
    green = {name: uid for name, uid in left.items() if beside in name}
    assert len(green) == 2
    assert flink.deployments == green, "the very pods that were there, and nothing else"


def test_what_was_live_is_ended_however_long_ago_the_switch_was(flink: Releases, capsys: Printed) -> None:
    """The old release, started anew in the old place: so it stands if nobody ran a killed release again."""
    live, green = flink.live, flink.deployments
    assert flink.adstream("render", *told("20m")) == ExitCode.OK
    flink.ads.apply(capsys.readouterr().out)
    assert len(flink.deployments) == 4
    assert invoke(flink.beside(*told("30m"))) == ExitCode.OK
    assert flink.deployments == green
    assert (flink.live.revision, flink.live.output) == (live.revision, live.output)


def test_the_later_of_two_releases_is_made(flink: Releases, capsys: Printed) -> None:
    live = flink.live
    with flink.releasing(CAUGHT_UP, *told("40m")) as earlier:
        overtaken = flink.live.beside
        assert invoke(flink.beside(*told("50m"))) == ExitCode.OK
        said = earlier.stdout.read() if earlier.stdout else ""
        assert earlier.wait() == ExitCode.REFUSED
    assert "another release of 'sessions' has begun meanwhile" in said
    now = flink.live
    assert now.revision not in {live.revision, overtaken}
    assert set(flink.deployments) == {f"{now.name}-jobmanager", f"{now.name}-taskmanager"}
    assert taken(flink.at(now.name)) == (FILES, 0)


def test_a_full_stop_goes_on_with_the_live_revision(flink: Releases, capsys: Printed) -> None:
    live = flink.live
    assert flink.adstream("deploy", *told("50m", "31d"), "--watch", "5s") == ExitCode.OK
    assert set(flink.deployments) == {f"{live.name}-jobmanager", f"{live.name}-taskmanager"}
    assert flink.adstream("diff", *told("50m", "31d")) == ExitCode.OK
    assert flink.adstream("delete") == ExitCode.OK
    assert not flink.deployments
    assert flink.live.output == live.output


def test_of_two_who_know_the_same_one_may_switch(flink: Releases) -> None:
    kubectl = Kubectl.found(flink.ads.name)
    nobody = Live.of(kubectl, "billing")
    first = nobody.claimed(kubectl, "/data/jobs/billing", "a")
    with pytest.raises(AdstreamError, match="another release of 'billing' has begun"):
        nobody.claimed(kubectl, "/data/jobs/billing", "b")
    second = Live.of(kubectl, "billing").claimed(kubectl, "/data/jobs/billing", "b")
    with pytest.raises(AdstreamError, match="another release of 'billing' has begun"):
        first.switched(kubectl, "a", "/data/jobs/billing-a")
    assert second.switched(kubectl, "b", "/data/jobs/billing-b") == Live.of(kubectl, "billing")
    assert Live.of(kubectl, "billing").name == "billing-b"
