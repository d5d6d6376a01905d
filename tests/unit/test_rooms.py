"""Who may import whom: the rules that keep engines apart and jobs portable."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = {"spark": ("pyspark",), "flink": ("pyflink",), "beam": ("apache_beam",)}
"""What only one engine's folder may import."""


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("engine", LIBRARIES)
def test_only_its_own_folder_imports_an_engine(engine: str) -> None:
    own = ROOT / "common" / "engines" / engine
    packages = (*LIBRARIES[engine], f"common.engines.{engine}")
    assert [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("common") + sources("jobs")
        if not path.is_relative_to(own)
        for name in imported(path)
        if any(is_below(name, package) for package in packages)
    ] == []


def test_jobs_know_no_engine() -> None:
    found = [name for path in sources("jobs") for name in imported(path)]
    assert found
    assert [name for name in found if is_below(name, "common.engines")] == []


def test_common_knows_no_job() -> None:
    found = [name for path in sources("common") for name in imported(path)]
    assert found
    assert [name for name in found if is_below(name, "jobs")] == []


def test_the_command_line_starts_without_any_engine() -> None:
    """A start costs no engine's import, and works where no engine is installed."""
    code = "import sys, common.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {library for libraries in LIBRARIES.values() for library in libraries} & set(loaded.split())
