from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.engines import launch as launching
from common.engines.entry import Failure
from common.engines.launch import LOG, is_running, launch, only_writer
from common.errors import AdstreamError, ExitCode
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary

Launch = Callable[[str], Summary]


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return JobSpec("sessions", "local", "batch", str(tmp_path / "in"), str(tmp_path / "out"), str(tmp_path / "kept"))


@pytest.fixture
def output(spec: JobSpec) -> Path:
    return Path(spec.output)


@pytest.fixture
def run(spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Launches Python code in the place of an engine."""

    def launched(code: str) -> Summary:
        monkeypatch.setattr(launching, "command", lambda _path, _spec: [sys.executable, "-c", code])
        return launch(spec, lambda _line: None)

    return launched


def test_lines_are_passed_on_and_kept(spec: JobSpec, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(9)"
    monkeypatch.setattr(launching, "command", lambda _path, _spec: [sys.executable, "-uc", code])
    seen: list[str] = []
    with pytest.raises(AdstreamError):
        launch(spec, seen.append)
    assert seen == ["one", "two"]
    assert (output / LOG).read_text() == "one\ntwo\n"


def test_a_failure_that_the_engine_left_is_raised_as_it_was(run: Launch, output: Path) -> None:
    code = f"""
from common.engines.entry import Failure
from pathlib import Path
Failure("no cluster", "start one", 3).save(Path({str(output)!r}))
"""
    with pytest.raises(AdstreamError, match="no cluster: start one") as caught:
        run(code)  # whatever its launcher makes of the exit code
    assert caught.value.code is ExitCode.UNAVAILABLE


def test_an_engine_that_dies_without_a_word_is_a_defect_with_its_last_line(run: Launch, output: Path) -> None:
    with pytest.raises(AdstreamError) as caught:
        run("print('out of memory'); print(); raise SystemExit(137)")
    assert caught.value.code is ExitCode.DEFECT
    assert str(caught.value) == f"engine 'local' stopped with exit code 137 (out of memory): see {output / LOG}"


def test_a_failure_that_found_no_room_on_the_disk_is_told_by_its_code(run: Launch) -> None:
    with pytest.raises(AdstreamError, match=r"stopped with exit code 3 \(adstream: no space left") as caught:
        run("print('adstream: no space left on a disk'); raise SystemExit(3)")
    assert caught.value.code is ExitCode.UNAVAILABLE


def test_an_engine_that_leaves_no_summary_is_a_defect(run: Launch) -> None:
    with pytest.raises(AdstreamError, match="engine 'local' left no summary"):
        run("pass")


def test_what_an_earlier_run_left_is_not_taken_for_this_ones(run: Launch, spec: JobSpec, output: Path) -> None:
    Summary(spec.job, spec.engine, spec.mode, spec.output, {}, (), 1, 0, 0.0).save(output)
    Failure("old", "", 2).save(output)
    with pytest.raises(AdstreamError, match="left no summary"):
        run("pass")


def test_bytes_that_are_no_text_do_not_stop_it(run: Launch) -> None:
    with pytest.raises(AdstreamError, match="left no summary"):
        run("import sys; sys.stdout.buffer.write(b'\\xff\\n')")


def test_an_engine_that_is_not_there_is_said_before_anything_starts(
    spec: JobSpec, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.engines.registry.available", lambda _engine: "install it")
    with pytest.raises(AdstreamError, match="engine 'local' is not available: install it") as caught:
        launch(spec, lambda _line: None)
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert not output.exists()


def test_an_unknown_engine_is_refused(spec: JobSpec) -> None:
    with pytest.raises(AdstreamError, match="unknown engine 'sparc': did you mean 'spark'"):
        launch(replace(spec, engine="sparc"), lambda _line: None)


def test_a_checkpoint_that_another_run_goes_on_with_is_refused(spec: JobSpec, run: Launch) -> None:
    stream = replace(spec, mode="stream")
    with (
        only_writer(Path(spec.checkpoint), "checkpoint"),
        pytest.raises(AdstreamError, match=r"checkpoint '.*': another run is writing to it: .* another --checkpoint"),
    ):
        launch(stream, lambda _line: None)
    with pytest.raises(AdstreamError, match="left no summary"), only_writer(Path(spec.checkpoint)):
        run("")  # a bounded run keeps none


def test_who_only_looks_whether_there_is_a_run_keeps_none_from_starting(output: Path) -> None:
    with only_writer(output):
        assert is_running(output)
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            is_running(output)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(300):
            with only_writer(output):
                pass
    finally:
        ended.set()
        watcher.join()


def test_who_interrupts_it_twice_leaves_no_process_behind(spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked to end", flush=True))
print(os.getpid(), flush=True)
while True: time.sleep(0.01)
"""
    monkeypatch.setattr(launching, "command", lambda _path, _spec: [sys.executable, "-c", code])
    again = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    seen: list[str] = []

    def watch(line: str) -> None:
        seen.append(line)
        again.start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(spec, watch)
    again.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(seen[0]), 0)
