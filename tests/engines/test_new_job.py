"""A job that `adstream new job` made runs as it is on every engine, and answers what its cases say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.scaffold.make import repository
from tests.running import each_engine

TIMEOUT_SECONDS = 600


@pytest.mark.slow
@pytest.mark.parametrize("engine", each_engine())
def test_a_new_job_gives_its_answer(engine: str, tmp_path: Path) -> None:
    for folder in ("common", "jobs", "tests"):
        shutil.copytree(repository() / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("README.md", "pyproject.toml"):
        shutil.copy(repository() / file, tmp_path / file)
    # The engines' environments, and what `make setup` has brought, lie beside the code.
    for place in (".venv", ".venv-flink", "build"):
        if (repository() / place).exists():
            (tmp_path / place).symlink_to(repository() / place)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    new = [sys.executable, "-m", "common.cli.main", "new", "job", "clickcounts"]
    subprocess.run(new, cwd=tmp_path, env=environment, check=True, capture_output=True)
    play = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance/test_conformance.py"]
    done = subprocess.run(
        [*play, "-k", f"clickcounts and {engine}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3_000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
