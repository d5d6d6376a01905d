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


def test_the_line_for_this_machine(spec: JobSpec, tmp_path: Path) -> None:
    line = submit.command(tmp_path / "spec.json", spec)
    assert os.access(line[0], os.X_OK) and line[0].endswith("bin/spark-submit")
    assert line[line.index("--master") + 1] == "local[2]"
    assert Path(line[-2]).name == "__main__.py" and line[-1] == str(tmp_path / "spec.json")
    assert "--py-files" not in line


def test_the_line_for_a_cluster_ships_the_code(spec: JobSpec, tmp_path: Path) -> None:
    there = replace(spec, options={"master": "spark://host:7077", "executor-memory": "3g", "spark.cores.max": "4"})
    line = submit.command(tmp_path / "run" / "spec.json", there)
    assert line[line.index("--master") + 1] == "spark://host:7077"
    assert line[line.index("--executor-memory") + 1] == "3g"
    assert "spark.cores.max=4" in line
    assert not any("spark.driver.host" in argument for argument in line)
    with zipfile.ZipFile(line[line.index("--py-files") + 1]) as packed:
        names = set(packed.namelist())
    assert {"common/engines/spark/state.py", "jobs/sessions/topology.py"} <= names
    assert "common/contracts/streams/ad-views/value.v1.avsc" in names


def test_an_unknown_option_is_refused(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="did you mean 'driver-memory'"):
        submit.command(tmp_path / "spec.json", replace(spec, options={"driver_memory": "1g"}))


def test_the_home_has_no_python_sources(spec: JobSpec) -> None:
    home = Path(submit.environment(spec)["SPARK_HOME"])
    assert (home / "bin" / "spark-submit").is_file() and (home / "jars").is_dir()
    assert not (home / "python").exists()
