"""How a run is started on Flink, without starting it."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.engines.flink.submit import command, environment, properties, shared_cluster
from common.runtime.spec import JobSpec

pytestmark = pytest.mark.flink


def spec(tmp_path: Path, **options: str) -> JobSpec:
    places = {name: str(tmp_path / name) for name in ("input", "output", "checkpoint")}
    return JobSpec("sessions", "flink", "stream", **places, options=options)


def test_an_application_is_its_own_job_manager(tmp_path: Path) -> None:
    line = command(tmp_path / "spec.json", spec(tmp_path, master="application", **{"jobmanager.rpc.port": "6123"}))
    assert line[0].endswith("/bin/standalone-job.sh")
    assert line[1:4] == ["start-foreground", "--job-classname", "org.apache.flink.client.python.PythonDriver"]
    assert "-Djobmanager.rpc.port=6123" in line
    assert line[-3:] == ["-py", line[-2], str(tmp_path / "spec.json")]
    assert line[-2].endswith("common/engines/flink/__main__.py")


def test_an_application_waits_for_its_job_and_is_never_restored_by_flink(tmp_path: Path) -> None:
    found = properties(spec(tmp_path, master="application"))
    assert found["execution.attached"] == "true"
    assert found["restart-strategy.type"] == "none"
    assert not [name for name in found if name.startswith("high-availability")]


def test_a_job_manager_has_the_heap_of_its_own_setting(tmp_path: Path) -> None:
    assert "-Xmx" not in environment(spec(tmp_path, master="application"))["FLINK_ENV_JAVA_OPTS"]
    assert "-Xmx256m" in environment(spec(tmp_path, master="shared:8081", memory="256m"))["FLINK_ENV_JAVA_OPTS"]
    assert command(tmp_path / "spec.json", spec(tmp_path, master="shared:8081"))[1:4] == ["run", "-m", "shared:8081"]


def test_only_a_cluster_that_outlives_its_jobs_may_hold_what_an_earlier_run_left(tmp_path: Path) -> None:
    assert shared_cluster(spec(tmp_path)) is None
    assert shared_cluster(spec(tmp_path, master="host:8081")) == "host:8081"
    assert shared_cluster(spec(tmp_path, master="application")) is None
