from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from common.cli.main import app
from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream

COMMANDS = ("run", "report", "plan", "compare", "engines", "contracts", "import", "generate")


def test_alone_it_teaches_by_example(adstream: Adstream) -> None:
    said = adstream()
    assert said.code == ExitCode.OK
    assert "adstream generate --events 100000 --output" in said.out
    for command in COMMANDS:
        assert f"\n│ {command} " in said.out


def _commands(group: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All commands that do something, with the groups that they are in."""
    for name in (name for name in group if name[:1] != "-"):
        below = tuple(_commands(group[name], (*path, name)))
        yield from below or ((*path, name),)


@pytest.mark.parametrize("command", [("import",), *_commands(app)], ids=" ".join)
def test_the_help_of_each_command_shows_lines_to_copy(adstream: Adstream, command: tuple[str, ...]) -> None:
    said = adstream(*command, "--help")
    assert said.code == ExitCode.OK
    line = " ".join(("adstream", *command))
    lines = [text.strip() for text in said.out.splitlines()]
    assert any(text.startswith(line) for text in lines)
    assert not any(text.count("adstream ") > 1 for text in lines if text.startswith("adstream ")), "one line each"


def test_an_unknown_command_is_refused_with_the_nearest(adstream: Adstream) -> None:
    said = adstream("rum")
    assert said.code == ExitCode.REFUSED
    assert said.error == "adstream: unknown command 'rum': did you mean 'run'?"
    below = adstream("checkpoints", "nosuch").error
    assert below == "adstream: unknown command 'nosuch': choose one of delete, export, import, list, show, verify"
    assert adstream("nosuch").error.endswith(", streams, tables")


def test_a_run_without_its_options_is_refused_with_where_to_read(adstream: Adstream) -> None:
    said = adstream("run", "sessions")
    assert said.code == ExitCode.REFUSED
    assert said.error == "adstream: --engine has no value: give it one; see 'adstream run --help'"
    assert adstream("run").error == "adstream: JOB has no value: give it one; see 'adstream run --help'"
    assert "--output has no value" in adstream("generate-catalogue", "--output").error
    assert adstream("run", "sessions", "--engin", "local").error.endswith(
        "--engine has no value: did you mean it by '--engin'?"
    )


def test_an_output_that_is_no_folder_of_this_machine_is_refused(adstream: Adstream, ads: Path) -> None:
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", "s3://bucket/out")
    assert said.code == ExitCode.REFUSED
    assert (
        said.error == "adstream: --output 's3:/bucket/out' is the address of a storage: give a folder of this machine"
    )
    assert not Path("s3:").exists()


def test_a_defect_has_a_code_of_its_own_and_a_trace(adstream: Adstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.cli.engines.available", lambda _: 1 / 0)
    said = adstream("engines")
    assert said.code == ExitCode.DEFECT
    assert "ZeroDivisionError: division by zero" in said.err
    assert said.err.splitlines()[-1].startswith("adstream: a defect of adstream (ZeroDivisionError): ")


@pytest.mark.parametrize("command", ["lineage", "--help"])
def test_a_reader_that_leaves_is_no_failure_that_is_told(command: str) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "common.cli.main", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    run.stdout.close()
    assert run.stderr is not None
    assert (run.stderr.read(), run.wait()) == ("", ExitCode.UNREAD)


def test_a_character_that_the_locale_has_not_is_printed_as_its_number() -> None:
    line = [sys.executable, "-m", "common.cli.main", "lineage", "--stream", "ad-views"]
    run = subprocess.run(line, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False)
    assert (run.returncode, run.stderr) == (ExitCode.OK, b"")
    assert rb" \u2192 " in run.stdout


def test_a_shell_learns_to_complete(adstream: Adstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    said = adstream("--install-completion", "--shell", "bash")
    assert said.code == ExitCode.OK
    (script,) = (path for path in tmp_path.rglob("*") if path.is_file() and "_adstream" in path.read_text())
    assert "report" in script.read_text()


def test_a_folder_without_permission_is_one_line(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "file" / "out")
    assert said.code == ExitCode.REFUSED
    assert "file/out': Not a directory: choose another --output" in said.error


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell lets what it starts in the background ignore ^C, the tests and all that they start included."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_engine_too(ads: Path, tmp_path: Path, how: signal.Signals) -> None:
    line = [sys.executable, "-m", "common.cli.main", "run", "sessions", "--engine", "local", "--mode", "stream"]
    line += ["--input", str(ads), "--output", str(tmp_path / "out")]
    run = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert run.stderr is not None
    for said in run.stderr:
        if "step 1:" in said:  # all that there is was taken: it waits for more
            break
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    assert len(children) == 1
    run.send_signal(how)
    rest = run.stderr.read()
    assert run.wait(60) == ExitCode.INTERRUPTED
    assert rest.splitlines()[-1].startswith("adstream: interrupted")
    assert "Traceback" not in rest
    deadline = time.monotonic() + 5
    while Path(f"/proc/{children[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{children[0]}").exists()
