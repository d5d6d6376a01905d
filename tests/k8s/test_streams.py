"""A job in pods over a broker in pods: it is released by name, killed, replaced beside what runs; each record comes out once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.cli.main import invoke
from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.launch import launch
from common.errors import ExitCode
from common.kubernetes.kubectl import Kubectl
from common.kubernetes.live import Live
from common.runtime.metrics import Metrics
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.kafka import admin
from common.streams.kafka.source import KafkaSource
from common.streams.materialise import digest, settled, table
from tests.integration.conftest import committed, url
from tests.k8s.broker import Streams, streams
from tests.k8s.following import Following
from tests.k8s.team import team
from tests.producing import produce_folder

pytestmark = pytest.mark.k8s

INPUTS = ("ad-views", "ad-clicks")
PARTS = 3
SETTINGS = {"buckets": 8, "grace": 30 * 86_400_000}
"""What is late depends on when the job happens to look, so nothing is: every event has its grace."""
NAMESPACE = "adstream-spark-streams"
JOB = ("sessions", "--overlay", "local/spark-driver", "--namespace", NAMESPACE)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Following]:
    """The job of a team that has nothing yet."""
    with team(NAMESPACE, tmp_path) as ads, ads.acting("deployer"):
        yield Following(ads, "driver", "executor")


@pytest.fixture
def broker(job: Following) -> Iterator[Streams]:
    """A broker that has no stream yet."""
    with streams(f"{NAMESPACE}-broker", job.ads) as made:
        yield made


def parts(folder: Path) -> list[Path]:
    """Events in disorder, with redeliveries, in parts that follow one another."""
    whole = folder / "whole"
    generate(GeneratorSettings(events=12_000, users=300, files=PARTS, malformed=0.0), whole, "parquet")
    for stream in INPUTS:
        for number, path in enumerate(sorted((whole / stream).iterdir())):
            target = folder / str(number) / stream
            target.mkdir(parents=True)
            (target / path.name).symlink_to(path)
    return [folder / str(number) for number in range(PARTS)]


def deploy(*arguments: str, **values: str) -> int:
    """Releases the job, as it is typed."""
    told = [
        *(f"--value={name}={value}" for name, value in values.items()),
        *(f"--set={k}={v}" for k, v in SETTINGS.items()),
    ]
    return invoke(["k8s", "deploy", *JOB, "--watch", "10s", *told, *arguments])


def takes_all(job: Following, broker: Streams) -> None:
    """Waits until the job has taken all that has arrived."""
    checkpoint, ends = job.output / "_checkpoint", KafkaSource.at(broker.outside, INPUTS).ends()
    job.ads.wait(f"all is taken: {ends}", lambda: Metrics.load(checkpoint).position.counts == ends)


def test_a_job_takes_a_broker_s_streams_and_writes_back_once(
    job: Following, broker: Streams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ads, arriving, inside = job.ads, parts(tmp_path / "parts"), url(broker.inside)
    assert deploy(INPUT=inside, SINK=inside) == ExitCode.REFUSED
    assert "the broker has no such stream: adstream streams create ad-views" in capsys.readouterr().err
    assert not ads.pods("driver")

    list(admin.create(broker.outside, ()))
    assert deploy(INPUT=inside, SINK=inside) == ExitCode.OK
    produce_folder(broker.outside, arriving[0], INPUTS)
    takes_all(job, broker)
    first = job.lead()
    produce_folder(broker.outside, arriving[1], INPUTS)
    ads.kubectl("delete", "pod", first.name, "--grace-period=0", "--force")
    produce_folder(broker.outside, arriving[2], INPUTS)
    job.lead(after=first.uid)
    takes_all(job, broker)

    capsys.readouterr()
    assert invoke(["k8s", "status", *JOB]) == ExitCode.OK
    assert "0 dead letters" in capsys.readouterr().out
    assert invoke(["k8s", "delete", *JOB]) == ExitCode.OK
    job.gone()
    metrics = drained_over(broker, job, sink=url(broker.outside))
    written = list(committed(broker.outside, "ad-sessions"))
    assert sum(part.num_rows for part in written) == metrics["sessions_upserted"] + metrics["sessions_retracted"]
    assert digest(settled(written, load("ad-sessions"))) == sessions(tmp_path)


def test_a_release_beside_what_runs_takes_a_broker_s_streams_from_their_beginning(
    job: Following, broker: Streams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ads, arriving = job.ads, parts(tmp_path / "parts")
    told, small = {"INPUT": url(broker.inside)}, "--set=parallelism=1"
    list(admin.create(broker.outside, ()))
    produce_folder(broker.outside, arriving[0], INPUTS)
    assert deploy(small, "--set=gap=10m", **told) == ExitCode.OK
    takes_all(job, broker)

    produce_folder(broker.outside, arriving[1], INPUTS)
    assert deploy(small, "--strategy=blue-green", **told) == ExitCode.OK
    assert "has caught up with sessions" in capsys.readouterr().err
    green = replace(job, name=Live.of(Kubectl.found(ads.name), "sessions").name)
    assert green.name != job.name
    produce_folder(broker.outside, arriving[2], INPUTS)
    takes_all(green, broker)
    assert invoke(["k8s", "delete", *JOB]) == ExitCode.OK
    green.gone()
    drained_over(broker, green)
    assert digest(table(green.output, "ad-sessions", load("ad-sessions"))) == sessions(tmp_path)


def drained_over(broker: Streams, job: Following, sink: str = "") -> dict[str, int]:
    """Lets the job emit all that is still open, from here; gives what it counted in all."""
    spec = JobSpec(
        job="sessions",
        engine="local",
        mode="stream",
        input=url(broker.outside),
        sink=sink,
        output=str(job.output),
        checkpoint=str(job.output / "_checkpoint"),
        settings=SETTINGS,
        until_caught_up=True,
        drain=True,
    )
    launch(spec, lambda _: None)
    return dict(Summary.load(job.output).metrics)


def sessions(folder: Path) -> str:
    """The digest of the sessions of all events in one batch."""
    output = str(folder / "batch")
    spec = JobSpec("sessions", "local", "batch", str(folder / "parts" / "whole"), output, output, settings=SETTINGS)
    launch(spec, lambda _: None)
    return digest(table(Path(output), "ad-sessions", load("ad-sessions")))
