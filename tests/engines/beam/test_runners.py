"""Runners, Beam's options, and what of a pipeline can be checked where its runner can't be had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from common.engines.beam import submit as beam_submit
from common.engines.beam.runners import Target, prism_binary
from common.engines.beam.translate import batch_pipeline, legs, stream_pipeline
from common.errors import AdstreamError, ExitCode
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from tests.engines.beam.conftest import Submit, random_steps, write_steps

NEEDS_PRISM = pytest.mark.skipif(
    prism_binary() is None,
    reason=f"no prism: go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam.__version__}",
)


def spec(tmp_path: Path, **options: str) -> JobSpec:
    """A spec of a stream run with these options."""
    return JobSpec(
        job="sessions",
        engine="beam",
        mode="stream",
        input=str(tmp_path / "in"),
        output=str(tmp_path / "out"),
        checkpoint=str(tmp_path / "kept"),
        settings={"buckets": 4},
        until_caught_up=True,
        drain=True,
        options=options,
    )


@pytest.mark.parametrize("name", ["Flink", "flink", "FlinkRunner"])
def test_a_runner_goes_by_its_name_in_any_form(tmp_path: Path, name: str) -> None:
    assert Target.resolve(spec(tmp_path, runner=name)).runner == "Flink"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"runner": "Flnk"}, "unknown runner 'Flnk': did you mean 'Flink'?"),
        ({"flink_mster": "h:1"}, "unknown option of Beam's 'flink_mster': did you mean 'flink_master'?"),
        ({"direct_num_workers": "two"}, "invalid int value: 'two'"),
        ({"runner": "Portable", "environment_type": "PROCES"}, "Unknown environment type: PROCES"),
        ({"runner": "Portable", "environment_type": "PROCESS"}, "process_command is required"),
        ({"runner": "Portable", "environment_type": "PROCESS", "environment_config": "{x"}, "environment_config"),
        ({"runner": "Dataflow"}, "[Dd]ataflow"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(tmp_path: Path, options: dict[str, str], problem: str) -> None:
    with pytest.raises(AdstreamError, match=problem.replace("?", r"\?")) as refused:
        Target.resolve(spec(tmp_path, **options))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "urn", "payload"),
    [
        ({"environment_type": "LOOPBACK"}, "beam:env:embedded_python_loopback:v1", b""),
        (
            {"environment_type": "PROCESS", "environment_config": json.dumps({"command": "/opt/boot"})},
            "beam:env:process:v1",
            beam_runner_api_pb2.ProcessPayload(command="/opt/boot").SerializeToString(),
        ),
        (
            {"environment_type": "DOCKER", "environment_config": "registry/adstream:1"},
            "beam:env:docker:v1",
            beam_runner_api_pb2.DockerPayload(container_image="registry/adstream:1").SerializeToString(),
        ),
    ],
)
@pytest.mark.parametrize("runner", ["Flink", "Spark", "Portable"])
def test_the_environment_of_the_workers_is_resolved(
    tmp_path: Path, runner: str, options: dict[str, str], urn: str, payload: bytes
) -> None:
    environment = Target.resolve(spec(tmp_path, runner=runner, **options)).environment()
    assert environment is not None
    assert environment.to_runner_api(None).urn == urn
    assert environment.to_runner_api(None).payload == payload


def test_the_pipeline_reads_well_and_is_portable(tmp_path: Path) -> None:
    write_steps(tmp_path / "in", random_steps(seed=1, steps=2))
    run = Run.open(spec(tmp_path))
    manifest = run.resume()
    pipeline = beam.Pipeline()
    (leg,) = legs(run, manifest, 10)
    stream_pipeline(pipeline, run, manifest, leg, tmp_path / "report.json")
    proto = pipeline.to_runner_api()
    assert _labels(proto) == [
        "Read ad-views",
        "Read ad-clicks",
        "Merge",
        "Steps",
        "With every step",
        "For sessions",
        "sessions by bucket",
        "After sessions",
        "Records of all rounds",
        "Ends of all rounds",
        "Write ad-sessions, late-events, dead-letters",
        "Report",
    ]
    (stateful,) = [payload for payload in _pardos(proto) if payload.state_specs]
    assert set(stateful.state_specs) == {"arrived", "held", "table"}
    (timer,) = stateful.timer_family_specs.values()
    assert timer.time_domain == beam_runner_api_pb2.TimeDomain.EVENT_TIME


def test_the_bounded_pipeline_needs_no_state(tmp_path: Path) -> None:
    write_steps(tmp_path / "in", random_steps(seed=1, steps=2))
    run = Run.open(spec(tmp_path))
    pipeline = beam.Pipeline()
    batch_pipeline(pipeline, run, [(0, split) for split in run.source.everything(2**20)], tmp_path / "report.json")
    proto = pipeline.to_runner_api()
    assert "Shuffle for sessions" in _labels(proto)
    assert not any(payload.state_specs for payload in _pardos(proto))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"runner": "Portable", "job_endpoint": "127.0.0.1:9", "job_server_timeout": "1"}, "runner 'Portable'"),
        ({"runner": "Portable"}, "job_endpoint"),
        ({"runner": "Flink", "flink_job_server_jar": "/absent.jar"}, "/absent.jar"),
        ({"runner": "Spark", "spark_job_server_jar": "/absent.jar"}, "/absent.jar"),
        ({"runner": "Flink", "flink_master": "127.0.0.1:9", "flink_submit_uber_jar": "true"}, "runner 'Flink'"),
    ],
)
def test_a_runner_without_a_service_is_unavailable(tmp_path: Path, options: dict[str, str], problem: str) -> None:
    target = Target.resolve(spec(tmp_path, **options))
    with pytest.raises(AdstreamError, match=problem) as refused:
        target.execute(_smallest(target))
    assert refused.value.code is ExitCode.UNAVAILABLE
    assert "\n" not in str(refused.value)


@pytest.mark.beam
@NEEDS_PRISM
@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_prism_gives_the_answer_of_the_local_engine(submit: Submit, tmp_path: Path, mode: str) -> None:
    streams = write_steps(tmp_path / "in", random_steps(seed=11, steps=6))
    drain = mode == "stream"
    on_prism = submit("beam", streams, mode=mode, drain=drain, options={"runner": "Prism"})
    on_local = submit("local", streams, mode=mode, drain=drain)
    assert on_prism.rows == on_local.rows
    assert on_prism.summary.metrics == on_local.summary.metrics


@pytest.mark.beam
@NEEDS_PRISM
# Prism drops the worker of a failed job while the SDK still listens to it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_a_task_refuses_on_prism_is_one_clear_line(submit: Submit, tmp_path: Path) -> None:
    write_steps(tmp_path / "in", [[]])
    (tmp_path / "in" / "ad-views" / "1.parquet").write_bytes(b"not parquet")
    with pytest.raises(AdstreamError, match=r"1\.parquet") as refused:
        submit("beam", tmp_path / "in", options={"runner": "Prism"})
    assert "\n" not in str(refused.value)


def test_submitting_does_not_import_beam(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from common.engines.beam import submit; "
        "submit.unavailable(); print('apache_beam' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    command = beam_submit.command(tmp_path / "spec.json", spec(tmp_path))
    assert command == [sys.executable, "-m", "common.engines.beam", str(tmp_path / "spec.json")]


def _smallest(target: Target) -> beam.Pipeline:
    pipeline = target.pipeline()
    _ = pipeline | beam.Create([0])
    return pipeline


def _labels(proto: beam_runner_api_pb2.Pipeline) -> list[str]:
    """The labels that a UI shows at the top level, in the order of the pipeline."""
    transforms = proto.components.transforms
    (root,) = proto.root_transform_ids
    return [transforms[child].unique_name for child in transforms[root].subtransforms]


def _pardos(proto: beam_runner_api_pb2.Pipeline) -> list[beam_runner_api_pb2.ParDoPayload]:
    specs = [t.spec for t in proto.components.transforms.values() if t.spec.urn == "beam:transform:pardo:v1"]
    return [beam_runner_api_pb2.ParDoPayload.FromString(spec.payload) for spec in specs]
