"""The contracts as they were in a revision of the repository."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from common.contracts.contract import STREAMS
from common.errors import AdstreamError, UnavailableError

if TYPE_CHECKING:
    from importlib.abc import Traversable


@contextmanager
def contracts_at(revision: str, root: Traversable = STREAMS) -> Iterator[Path]:
    """The folder of the contracts as a revision has it; an empty one if it has none.

    Args:
        revision: Whatever git takes for a commit, such as `main` or `HEAD~3`.
        root: The folder of the contracts, in a clone of its repository.

    Raises:
        AdstreamError: The folder is not in a clone, or the revision is not known there.
    """
    if not isinstance(root, Path) or _git(root, "rev-parse", "--show-toplevel") is None:
        raise AdstreamError("the contracts do not lie in a clone of a repository", "run it in one: git clone …")
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None:
        raise AdstreamError(f"revision '{revision}' is not known in this clone", "fetch it, or name another one")
    commit = found.decode().strip()
    with TemporaryDirectory(prefix="adstream-contracts-") as folder:
        if _git(root, "ls-tree", "--name-only", commit, "./"):
            archive = _git(root, "archive", "--format=tar", commit, ".")
            assert archive is not None
            with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                packed.extractall(folder, filter="data")
        yield Path(folder)


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git answers; None when it refuses."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise UnavailableError("git is not installed", "install it") from None
    return done.stdout if done.returncode == 0 else None
