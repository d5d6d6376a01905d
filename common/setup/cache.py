"""The folder that keeps what is downloaded, shared by all clones of the project."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CACHE_HOME/adstream`, else `~/.cache/adstream` (XDG Base Directory specification)."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "adstream"


def provide(folder: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that is either whole or absent: filled beside its place, then renamed into it.

    Processes that want the same folder wait for the first of them. One that is there already is
    returned as it is.

    Args:
        folder: Where it belongs.
        fill: Puts the content into the empty folder that it is given.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            fill(staged)
            staged.chmod(0o755)
            staged.rename(folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return folder
