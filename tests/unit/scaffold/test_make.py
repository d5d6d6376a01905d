"""What `adstream new` makes passes what a change must pass, as it is: checked in a copy of the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.contracts.compatibility import check_stream
from common.contracts.contract import load_from, streams
from common.errors import AdstreamError
from common.scaffold.make import new_job, new_stream, repository

CONTRACTS = "common/contracts/streams"
QUIET = ("-q", "-p", "no:cacheprovider")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository that holds only the pages which a new job adds a row to."""
    for page in ("README.md", "jobs/README.md"):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        shutil.copy(repository() / page, tmp_path / page)
    return tmp_path


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with a new job and new streams."""
    found = tmp_path_factory.mktemp("copy")
    leave = shutil.ignore_patterns("__pycache__", "bench", "differences", ".*")
    for folder in ("common", "jobs", "tests"):
        shutil.copytree(repository() / folder, found / folder, ignore=leave)
    for file in ("README.md", "pyproject.toml"):
        shutil.copy(repository() / file, found / file)
    calls = [
        ["new", "job", "viewers", "--reads", "ad-views", "--owner", "behaviour"],
        ["new", "job", "averyverylongjobname"],
        ["new", "stream", "ad-refunds", "--owner", "billing"],
        ["new", "stream", "campaigns", "--owner", "ad-catalogue", "--kind", "entity"],
    ]
    done = run(found, "-c", f"from common.cli.main import invoke; print([int(invoke(each)) for each in {calls}])")
    assert done.stdout.splitlines()[-1:] == ["[0, 0, 0, 0]"], done.stderr
    return found


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a copy, with the code of the copy."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", ["event", "entity"])
def test_a_new_stream_has_a_contract_that_holds(root: Path, kind: str) -> None:
    made = new_stream("ad-refunds", "billing", kind, root)
    assert streams(root / CONTRACTS) == ("ad-refunds",)
    assert check_stream("ad-refunds", root / CONTRACTS) == []
    contract = load_from(root / CONTRACTS, "ad-refunds")
    assert (contract.meta.owner, contract.meta.kind) == ("billing", kind)
    assert contract.value_schema["name"] == "AdRefunds"
    assert all((root / path).is_file() for path in made.paths)


def test_a_new_job_owns_what_it_writes_and_keeps_the_tag_of_what_it_reads(root: Path) -> None:
    made = new_job("viewers", "ad-views", "", root)
    assert made.stream == "viewers-counts"
    meta = load_from(root / CONTRACTS, "viewers-counts").meta
    assert (meta.owner, meta.tags.pii) == ("ad-serving", ("key",))
    assert check_stream("viewers-counts", root / CONTRACTS) == []
    assert "| `viewers` | how many records of `ad-views` each key has had |" in (root / "README.md").read_text()
    assert "| `viewers` | `ad-views` | `viewers-counts`, `dead-letters` |" in (root / "jobs/README.md").read_text()


def test_a_job_is_made_once(root: Path) -> None:
    new_job("viewers", "ad-views", "", root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(AdstreamError, match="there already, and nothing is overwritten"):
        new_job("viewers", "ad-clicks", "", root)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_stream_whose_keys_are_no_text_is_refused_with_those_that_have_some(root: Path) -> None:
    with pytest.raises(AdstreamError, match="stream 'ad-sessions': its keys are no text"):
        new_job("viewers", "ad-sessions", "", root)
    with pytest.raises(AdstreamError, match="unknown stream 'ad-view': did you mean 'ad-views'"):
        new_job("viewers", "ad-view", "", root)


def test_what_is_made_is_in_the_style_of_the_rest(copy: Path) -> None:
    for check in (("check",), ("format", "--check")):
        done = run(copy, "-m", "ruff", *check)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_made_passes_its_own_tests(copy: Path) -> None:
    done = run(copy, "-m", "pytest", *QUIET, "tests/unit/jobs/viewers", "tests/unit/jobs/averyverylongjobname")
    assert done.returncode == 0, done.stdout[-3_000:]


@pytest.mark.slow
def test_what_is_made_passes_the_tests_of_every_job_and_stream(copy: Path) -> None:
    """Those that need no engine of its own; the others are in `tests/engines/test_new_job.py`."""
    of_all = ("tests/unit/contracts", "tests/unit/topology", "tests/unit/lineage", "tests/unit/test_rooms.py")
    done = run(copy, "-m", "pytest", *QUIET, *of_all, "tests/conformance/test_cases.py")
    assert done.returncode == 0, done.stdout[-3_000:]


@pytest.mark.slow
def test_what_is_made_is_typed(copy: Path) -> None:
    done = run(copy, "-m", "mypy")
    assert done.returncode == 0, done.stdout
