"""`adstream k8s` on a real cluster: releases that are well, that are stopped before they change anything, that are taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cli.main import invoke
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.errors import ExitCode
from common.runtime.metrics import Metrics
from tests.k8s.following import Following
from tests.k8s.team import Team, team

pytestmark = pytest.mark.k8s

NAMESPACE = "adstream-cli-deploy"
FILES = 8
BAD = 400


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A team with streams, and nothing that reads them; who releases there may do no more than is needed for that."""
    with team(NAMESPACE, tmp_path_factory.mktemp("deploy")) as made:
        generate(GeneratorSettings(events=8_000, files=FILES, malformed=0.0), made.data / "streams", "jsonl")
        made.give(made.data / "streams")
        with made.acting("deployer"):
            yield made


def adstream(command: str, *arguments: str) -> int:
    """A command about the job, as it is typed."""
    place = ("--overlay", "local/flink-application", "--namespace", NAMESPACE)
    return invoke(["k8s", command, "sessions", *place, *arguments])


def checkpoint(ads: Team) -> Path:
    return Following(ads, "jobmanager", "taskmanager").output / "_checkpoint"


def steps(ads: Team) -> int:
    """How many steps are complete, those included that the next checkpoint will hold."""
    return Metrics.load(checkpoint(ads)).steps


def arrive(ads: Team, number: int, lines: list[str]) -> None:
    """One more file of each stream, both at about one moment: a job that looks in between would take two steps."""
    views, clicks = (ads.data / "streams" / stream / f"{number:05d}.jsonl" for stream in ("ad-views", "ad-clicks"))
    for path, held in ((views, lines), (clicks, [])):
        path.with_name(f".{path.name}").write_text("".join(f"{line}\n" for line in held))
    for path in (views, clicks):
        path.with_name(f".{path.name}").rename(path)
    ads.give(ads.data / "streams")


def standing(ads: Team) -> dict[str, str]:
    """What runs, and under which names: the pods, what they are made from, and the ConfigMaps there are."""
    columns = (
        "--output=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{.metadata.generation}{'\\n'}{end}"
    )
    kinds = "deployments,pods,services,configmaps,jobs"
    listed = ads.kubectl("get", kinds, "--selector=app.kubernetes.io/part-of=adstream", columns)
    return dict(line.split(" ") for line in listed.splitlines())


def settings_in_use(ads: Team) -> str:
    path = "jsonpath={.spec.template.spec.volumes[?(@.name=='settings')].configMap.name}"
    return ads.kubectl("get", "deployment", "sessions-jobmanager", f"--output={path}")


def test_a_job_is_released_and_seen(ads: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert adstream("diff") == ExitCode.DIFFERENT
    assert adstream("deploy", "--watch", "20s", "--set", "gap=20m") == ExitCode.OK
    said = capsys.readouterr().out
    assert "sessions: checked" in said
    assert said.splitlines()[-1] == "sessions: released"
    ads.wait("all there is was taken", lambda: steps(ads) == FILES)
    assert adstream("diff", "--set", "gap=20m") == ExitCode.OK
    capsys.readouterr()
    assert adstream("status") == ExitCode.OK
    said = capsys.readouterr().out
    assert f"{FILES:,} steps" in said
    assert "watermark lag" in said
    assert "0 dead letters" in said
    assert len([line for line in said.splitlines() if "taskmanager" in line and "yes" in line]) == 2
    assert adstream("logs", "--lines", "5") == ExitCode.OK
    assert "[pod/sessions-jobmanager" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--set", "gap=30m"), "gap=1200000, but the job has sessions.gap=1800000"),
        (("--set", "gap=20m", "--value", "INPUT=/data/nowhere"), "/data/nowhere"),
        (("--set", "gap=20m", "--value", "INPUT=kafka://127.0.0.1:1?registry=http://127.0.0.1:1"), "127.0.0.1:1"),
    ],
)
def test_a_bad_release_is_stopped_before_it_changes_anything(
    ads: Team, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str
) -> None:
    before = standing(ads)
    assert adstream("deploy", *arguments) in {ExitCode.REFUSED, ExitCode.UNAVAILABLE}
    said = capsys.readouterr().err
    assert "the release was stopped by the check before it" in said
    assert reason in said
    assert standing(ads) == before


def test_a_release_after_which_dead_letters_burst_is_taken_back(ads: Team, capsys: pytest.CaptureFixture[str]) -> None:
    before = settings_in_use(ads)
    arriving = threading.Event()

    def break_the_stream() -> None:
        ads.wait("the release has been made", lambda: settings_in_use(ads) != before)
        arrive(ads, FILES, ["{"] * BAD)
        arriving.set()

    feeding = threading.Thread(target=break_the_stream)
    feeding.start()
    assert adstream("deploy", "--set", "gap=20m", "--set", "max_future_skew=1h", "--watch", "4m") == ExitCode.REFUSED
    feeding.join()
    assert arriving.is_set()
    said = capsys.readouterr().err
    assert "the release of 'sessions' was rolled back" in said
    assert f"{BAD} of {BAD} records since the release are dead letters" in said
    assert settings_in_use(ads) == before
    assert steps(ads) == FILES + 1, "what was taken stays taken"


def test_a_job_goes_on_at_another_parallelism_with_its_settings(ads: Team) -> None:
    assert adstream("scale", "--parallelism", "1") == ExitCode.OK
    ads.wait("one task manager is left", lambda: len(ads.pods("taskmanager")) == 1)
    config = ads.kubectl("get", "configmap", settings_in_use(ads), "--output=jsonpath={.data.jobs\\.yaml}")
    assert "parallelism: 1" in config
    assert "gap: 1200000" in config
    arrive(ads, FILES + 1, ['{"key": "ann", "value": {"advertisementId": 1, "createdEventTime": 1767312000000}}'])
    ads.wait("it goes on", lambda: steps(ads) == FILES + 2)


def test_a_job_that_is_deleted_leaves_what_it_has_kept(ads: Team) -> None:
    assert adstream("delete") == ExitCode.OK
    ads.wait(
        "nothing is left but what says where the answer is", lambda: set(standing(ads)) == {"ConfigMap/sessions-live"}
    )
    assert "data" in ads.kubectl("get", "persistentvolumeclaims")
    assert (checkpoint(ads) / "manifest.json").exists()
