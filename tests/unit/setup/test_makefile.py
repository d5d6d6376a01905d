"""What `make setup` does again, told by make itself: a copy of the Makefile among files that look like a set-up."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[3] / "Makefile"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that is set up, with a Java in the cache."""
    shutil.copy(MAKEFILE, tmp_path)
    (version,) = re.findall(r"^UV_VERSION := (.+)$", MAKEFILE.read_text(), re.MULTILINE)
    for name in ("uv.lock", "pyproject.toml", "common/setup/java.py", f".tools/.uv-{version}", ".venv/.synced"):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (tmp_path / "cache" / "java-17" / "home").mkdir(parents=True)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / ".java").write_text(f"{tmp_path}/cache/java-17/home\n")
    return tmp_path


def planned(clone: Path) -> str:
    """What make would do for Java."""
    command = ["make", "--dry-run", "--no-print-directory", "build/.java"]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout


def test_a_java_that_is_there_is_not_brought_again(clone: Path) -> None:
    assert "common.setup.java" not in planned(clone)


def test_a_java_that_went_with_the_cache_is_brought_again(clone: Path) -> None:
    shutil.rmtree(clone / "cache")
    assert "python -m common.setup.java >build/.java" in planned(clone)
