"""The `spark-submit` line, for this machine and for a cluster."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines.spark import submit
from common.errors import AdstreamError
from common.runtime.spec import JobSpec

pytestmark = pytest.mark.skipif(submit.unavailable() is not None, reason=str(submit.unavailable()))


def shipped(line: list[str]) -> list[str]:
    """The code that goes with a run."""
    name = "spark.submit.pyFiles="
    return [argument.removeprefix(name) for argument in line if argument.startswith(name)]


def test_the_line_for_this_machine(spec: JobSpec, tmp_path: Path) -> None:
    line = submit.command(tmp_path / "spec.json", spec)
    assert os.access(line[0], os.X_OK) and line[0].endswith("bin/spark-submit")
    assert "spark.master=local[2]" in line
    assert Path(line[-2]).name == "__main__.py" and line[-1] == str(tmp_path / "spec.json")
    assert not shipped(line)


def test_the_line_for_a_cluster_ships_the_code(spec: JobSpec, tmp_path: Path) -> None:
    there = replace(spec, options={"master": "spark://host:7077", "executor-memory": "3g", "spark.cores.max": "4"})
    line = submit.command(tmp_path / "run" / "spec.json", there)
    assert {"spark.master=spark://host:7077", "spark.executor.memory=3g", "spark.cores.max=4"} <= set(line)
    assert not any("spark.driver.host" in argument for argument in line)
    (code,) = shipped(line)
    with zipfile.ZipFile(code) as packed:
        names = set(packed.namelist())
    assert {"common/engines/spark/state.py", "jobs/sessions/topology.py"} <= names
    assert "common/contracts/streams/ad-views/value.v1.avsc" in names


def test_the_line_for_kubernetes_ships_nothing_as_the_image_has_the_code(spec: JobSpec, tmp_path: Path) -> None:
    options = {"master": "k8s://https://kubernetes.default.svc", "spark.kubernetes.namespace": "team-ads"}
    there = replace(spec, options=options)
    line = submit.command(tmp_path / "run" / "spec.json", there)
    assert {"spark.master=k8s://https://kubernetes.default.svc", "spark.kubernetes.namespace=team-ads"} <= set(line)
    assert "spark.executor.memory=2g" in line and not shipped(line)
    assert "PYTHONPYCACHEPREFIX" in submit.environment(spec)
    assert "PYTHONPYCACHEPREFIX" not in submit.environment(there)


def test_in_cluster_mode_the_driver_s_pod_runs_the_image_s_own_code(spec: JobSpec, tmp_path: Path) -> None:
    options = {"master": "k8s://https://kubernetes.default.svc", "deploy-mode": "cluster"}
    line = submit.command(tmp_path / "spec.json", replace(spec, options=options))
    assert line[line.index("--deploy-mode") + 1] == "cluster"
    assert line[-2].startswith("local:///") and line[-2].endswith("common/engines/spark/__main__.py")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"master": "spark://host:7077", "deploy-mode": "cluster"},
            "deploy-mode=cluster with master=spark://host:7077",
        ),
        ({"master": "k8s://https://host", "deploy-mode": "clutser"}, "did you mean 'cluster'"),
    ],
)
def test_a_deploy_mode_that_can_t_be_is_refused(
    spec: JobSpec, tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(AdstreamError, match=said):
        submit.command(tmp_path / "spec.json", replace(spec, options=options))


def test_an_unknown_option_is_refused(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="did you mean 'driver-memory'"):
        submit.command(tmp_path / "spec.json", replace(spec, options={"driver_memory": "1g"}))


def test_the_home_has_no_python_sources(spec: JobSpec) -> None:
    home = Path(submit.environment(spec)["SPARK_HOME"])
    assert (home / "bin" / "spark-submit").is_file() and (home / "jars").is_dir()
    assert not (home / "python").exists()
