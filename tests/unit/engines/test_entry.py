from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.engines.entry import FAILURE, TRACE, Failure, run_spec
from common.errors import ExitCode, UnavailableError
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return JobSpec("sessions", "local", "batch", str(tmp_path / "in"), str(tmp_path / "out"), str(tmp_path / "kept"))


def saved(spec: JobSpec, folder: Path) -> list[str]:
    path = folder / "spec.json"
    spec.save(path)
    return [str(path)]


def raising(error: BaseException) -> Callable[[JobSpec], Summary]:
    def run(spec: JobSpec) -> Summary:
        raise error

    return run


def done(spec: JobSpec) -> Summary:
    return Summary(spec.job, spec.engine, spec.mode, spec.output, {}, (), 1, 0, 0.0)


def test_a_run_that_ends_well_leaves_no_failure(spec: JobSpec, tmp_path: Path) -> None:
    assert run_spec(done, saved(spec, tmp_path)) == ExitCode.OK
    assert Failure.load(Path(spec.output)) is None


def test_what_the_user_can_mend_is_one_line_a_file_and_its_code(
    spec: JobSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = UnavailableError("no cluster", "start one")
    assert run_spec(raising(error), saved(spec, tmp_path)) == ExitCode.UNAVAILABLE
    assert capsys.readouterr().err == "adstream: no cluster: start one\n"
    failure = Failure.load(Path(spec.output))
    assert failure == Failure("no cluster", "start one", ExitCode.UNAVAILABLE)
    assert str(failure.error()) == str(error)
    assert not (Path(spec.output) / TRACE).exists()


def test_a_defect_keeps_its_trace_out_of_sight(
    spec: JobSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_spec(raising(RuntimeError("first\nsecond")), saved(spec, tmp_path)) == ExitCode.DEFECT
    trace = Path(spec.output) / TRACE
    assert capsys.readouterr().err == f"adstream: engine 'local' failed: RuntimeError: first: see {trace}\n"
    assert "Traceback" in trace.read_text()


@pytest.mark.parametrize(
    ("code", "told"), [(errno.ENOSPC, "no space left on a disk"), (errno.EROFS, "a storage is read-only")]
)
def test_trouble_with_a_disk_is_no_defect(
    spec: JobSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, told: str
) -> None:
    trouble = OSError(code, os.strerror(code), "part.parquet")
    assert run_spec(raising(trouble), saved(spec, tmp_path)) == ExitCode.UNAVAILABLE
    assert told in capsys.readouterr().err
    assert not (Path(spec.output) / TRACE).exists()


def test_a_disk_without_room_for_the_failure_is_left_without_one(
    spec: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: str) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    arguments = saved(spec, tmp_path)
    monkeypatch.setattr(Path, "write_text", full)
    trouble = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "part.parquet")
    assert run_spec(raising(trouble), arguments) == ExitCode.UNAVAILABLE
    assert Failure.load(Path(spec.output)) is None


def test_an_interrupt_has_its_own_code(spec: JobSpec, tmp_path: Path) -> None:
    assert run_spec(raising(KeyboardInterrupt()), saved(spec, tmp_path)) == ExitCode.INTERRUPTED


@pytest.mark.parametrize("content", [None, "{", "[]", '{"job": "sessions"}'])
def test_a_spec_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "spec.json"
    if content is not None:
        path.write_text(content)
    assert run_spec(done, [str(path)]) == ExitCode.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"adstream: spec '{path}': ")
    assert not (tmp_path / FAILURE).exists()


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_it_takes_one_argument(arguments: list[str]) -> None:
    assert run_spec(done, arguments) == ExitCode.REFUSED
