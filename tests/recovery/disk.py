"""A small disk of a job's own, which can be taken away, made read-only, and filled; it takes root to make one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEGABYTES = 96


def unavailable() -> str | None:
    """Why no disk can be made here; None where it can."""
    if os.geteuid() != 0:
        return "faults of the storage take root: it mounts a small disk"
    return None if shutil.which("mount") else "there is no `mount`"


class Disk:
    """A file system in memory, seen at two folders.

    Args:
        home: Where it is.
        checkpoint: Where its first half is seen; this view can be taken away.
        output: Where its second half is seen.
    """

    def __init__(self, home: Path, checkpoint: Path, output: Path) -> None:
        self._home, self._checkpoint, self._output = home, checkpoint, output

    @contextmanager
    def mounted(self) -> Iterator[Disk]:
        """The disk, while the context lasts."""
        for folder in (self._home, self._checkpoint, self._output):
            folder.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(self._home))
        try:
            for half in ("checkpoint", "output"):
                (self._home / half).mkdir()
            self.attach()
            _run("mount", "--bind", str(self._home / "output"), str(self._output))
            yield self
        finally:
            # What a failed test has to show is kept beside the disk, which goes.
            for folder in (self._checkpoint, self._output):
                with suppress(OSError):
                    shutil.copytree(folder, folder.with_name(f"{folder.name}-left"), dirs_exist_ok=True)
            for folder in (self._checkpoint, self._output, self._home):
                subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)

    def detach(self) -> None:
        """Takes the checkpoint's storage away: an empty folder is left."""
        _run("umount", "-l", str(self._checkpoint))

    def attach(self) -> None:
        """Puts it back."""
        _run("mount", "--bind", str(self._home / "checkpoint"), str(self._checkpoint))

    def writable(self, writable: bool) -> None:
        """Lets the checkpoint's storage take writes, or not; files that are open can be written to whatever happens."""
        if writable:
            _run("umount", "-l", str(self._checkpoint))
        else:
            # A view that has files open can't be made read-only: another one is, and laid over the first.
            view = self._home.with_name(f"{self._home.name}-read-only")
            view.mkdir(exist_ok=True)
            _run("mount", "--bind", str(self._home / "checkpoint"), str(view))
            _run("mount", "-o", "remount,bind,ro", str(view))
            _run("mount", "--bind", str(view), str(self._checkpoint))
            _run("umount", "-l", str(view))

    @contextmanager
    def full(self) -> Iterator[None]:
        """Nothing more fits while the context lasts."""
        ballast = self._home / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**16)) or file.write(b"0")
        try:
            yield
        finally:
            ballast.unlink()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
