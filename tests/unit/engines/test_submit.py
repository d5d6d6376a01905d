"""What an engine refuses before it is started; none is imported for it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines.registry import check
from common.engines.spark.submit import properties
from common.engines.tasks import opened
from common.errors import AdstreamError
from common.runtime.spec import JobSpec


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return JobSpec("sessions", "local", "batch", str(tmp_path / "in"), str(tmp_path / "out"), str(tmp_path / "kept"))


def test_flink_refuses_more_tasks_than_can_share_its_state(spec: JobSpec) -> None:
    with pytest.raises(AdstreamError, match="parallelism=257: a job on Flink has at most 256 tasks: set 256 or less"):
        check(replace(spec, engine="flink", settings={"parallelism": 257}))
    assert check(replace(spec, engine="flink", settings={"parallelism": 256})) == ()
    assert check(replace(spec, settings={"parallelism": 257})) == ()


def test_the_local_engine_has_no_options(spec: JobSpec) -> None:
    asked = replace(spec, options={"foo": "1"})
    with pytest.raises(AdstreamError, match="engine 'local': unknown option 'foo': there is none"):
        check(asked)
    with pytest.raises(AdstreamError, match="engine 'local': unknown option 'foo'"), opened(asked):
        pass


@pytest.mark.parametrize("name", ["out", "my out", 'a "b" c', "back\\slash x"])
def test_spark_logs_into_an_output_of_any_name(spec: JobSpec, tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    options = properties(replace(spec, engine="spark", output=str(output)))["spark.driver.extraJavaOptions"]
    assert f"-Dadstream.log={output}/_run/spark.log" in shlex.split(options), "Java takes the rest for a class to start"
