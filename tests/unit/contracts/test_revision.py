from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from common.contracts.changes import changes
from common.contracts.contract import STREAMS, streams
from common.contracts.revision import contracts_at
from common.errors import AdstreamError


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The contracts in a repository of their own: without any in its first revision, changed in its third."""
    clone = tmp_path / "clone"
    folder = clone / "common" / "contracts" / "streams"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    (clone / "README.md").write_text("empty")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "first")
    shutil.copytree(str(STREAMS), folder)
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "second")
    shutil.rmtree(folder / "ad-clicks")
    git(clone, "commit", "--quiet", "-am", "third")
    return folder


def test_contracts_are_those_of_the_revision(root: Path) -> None:
    with contracts_at("HEAD~1", root) as before:
        assert streams(before) == streams()
        assert [change.stream for change in changes(before, root)] == ["ad-clicks"]
    with contracts_at("main", root) as before:
        assert changes(before, root) == ()
    assert not before.exists()


def test_a_revision_before_there_were_contracts_has_none(root: Path) -> None:
    with contracts_at("HEAD~2", root) as before:
        assert streams(before) == ()


@pytest.mark.parametrize("revision", ["HEAD~3", "nonsense", "--help", ""])
def test_a_revision_that_is_not_there_is_one_line(root: Path, revision: str) -> None:
    with pytest.raises(AdstreamError, match="is not known in this clone"), contracts_at(revision, root):
        pass


def test_a_folder_outside_a_clone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="do not lie in a clone"), contracts_at("HEAD", tmp_path):
        pass


def test_the_contracts_of_this_suite_lie_where_they_are_looked_for() -> None:
    assert files("common.contracts").joinpath("streams") == STREAMS
