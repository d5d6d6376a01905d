"""Where a pipeline runs: the runner and Beam's own options, from a run's options."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState, create_runner
from apache_beam.transforms.environments import Environment

from common.errors import AdstreamError, UnavailableError, first_line, told_in
from common.names import pick
from common.runtime.spec import JobSpec

RUNNERS = ("FnApi", "Prism", "Flink", "Spark", "Dataflow", "Portable")
DEFAULT_RUNNER = "FnApi"
_SWITCHES = {"true": True, "false": False}


@dataclass(frozen=True)
class Target:
    """A runner and its options.

    Attributes:
        runner: One of `RUNNERS`.
        options: Beam's options, validated.
    """

    runner: str
    options: PipelineOptions

    @classmethod
    def resolve(cls, spec: JobSpec) -> Target:
        """The target that a spec's options name: `runner`, and any option of Beam's by its name.

        Raises:
            AdstreamError: An option is unknown or invalid, or what the runner needs is not installed.
        """
        given = dict(spec.options)
        runner = pick("runner", _short(given.pop("runner", DEFAULT_RUNNER)), RUNNERS)
        given.setdefault("job_name", f"adstream-{spec.job}".replace("_", "-"))
        if runner == "Flink":
            given.setdefault("parallelism", str(spec.parallelism))
        if runner == "Prism" and "prism_location" not in given:
            given["prism_location"] = _prism()
        target = cls(runner, _options(given))
        errors = PipelineOptionsValidator(target.options, _create(runner)).validate()
        if errors:
            raise AdstreamError(f"runner '{runner}': {'; '.join(errors)}", "see Beam's pipeline options")
        target.environment()
        return target

    def environment(self) -> Environment | None:
        """Where the runner's workers run this code; None for a runner that decides it itself.

        Raises:
            AdstreamError: The options name none that there is.
        """
        runner = _create(self.runner)
        if not isinstance(runner, PortableRunner):
            return None
        try:
            return runner.default_environment(self.options)
        except (ValueError, KeyError) as error:
            raise AdstreamError(
                f"options environment_type and environment_config: {error}",
                'LOOPBACK needs no configuration, DOCKER takes an image, PROCESS takes {"command": …}',
            ) from error

    def pipeline(self) -> beam.Pipeline:
        """An empty pipeline that runs there."""
        return beam.Pipeline(runner=_create(self.runner), options=self.options)

    def execute(self, pipeline: beam.Pipeline) -> None:
        """Runs a pipeline to its end.

        Raises:
            AdstreamError: A task refused its input, or the runner's service can't be started or reached.
            RuntimeError: The pipeline failed otherwise.
        """
        try:
            state = self._submitted(pipeline).wait_until_finish()
        except AdstreamError:
            raise
        except Exception as error:
            # Beam brings what a task raised back as the text of another exception.
            raised = told_in(str(error))
            if raised is None:
                raise
            raise raised from error
        if state != PipelineState.DONE:
            raise RuntimeError(f"runner '{self.runner}' ended the pipeline as {state}")

    def _submitted(self, pipeline: beam.Pipeline) -> PipelineResult:
        if not isinstance(pipeline.runner, PortableRunner):
            return pipeline.run()
        try:
            return pipeline.run()
        except Exception as error:  # nothing of the pipeline runs yet; each transport raises errors of its own
            name = self.runner.lower()
            raise UnavailableError(
                f"runner '{self.runner}' can't be reached: {type(error).__name__} {first_line(error)}",
                f"name a running job service (job_endpoint) or what starts one (such as {name}_job_server_jar)",
            ) from error


def prism_binary() -> str | None:
    """Beam's Prism runner, on the PATH or where `go install` puts it; None when it is in neither place."""
    return shutil.which("prism") or shutil.which("prism", path=Path.home() / "go" / "bin")


def _prism() -> str:
    binary = prism_binary()
    if binary is None:
        raise UnavailableError(
            "runner 'Prism': there is no 'prism' on the PATH",
            f"go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam.__version__}, or name it: prism_location",
        )
    return binary


def _short(name: str) -> str:
    """A runner's name in `RUNNERS`, from any case and with or without Beam's suffix."""
    bare = name.lower().removesuffix("runner")
    return next((runner for runner in RUNNERS if runner.lower() == bare), name)


def _create(runner: str) -> PipelineRunner:
    try:
        return create_runner(f"{runner}Runner")
    except ImportError as error:
        raise UnavailableError(
            f"runner '{runner}': {error}", "install what it names beside the extra 'beam'"
        ) from error


def _options(given: Mapping[str, str]) -> PipelineOptions:
    defaults = PipelineOptions([]).get_all_options()
    values: dict[str, object] = {}
    for name, value in given.items():
        pick("option of Beam's", name, defaults)
        values[name] = _SWITCHES.get(value.lower(), value) if isinstance(defaults[name], bool) else value
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions.from_dictionary(values)
            options.get_all_options()
    except SystemExit as refusal:  # how argparse refuses a value
        problem = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise AdstreamError(f"options of Beam's: {problem}", "see Beam's pipeline options") from refusal
    return options
