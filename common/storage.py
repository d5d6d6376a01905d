"""Where what a job keeps lies: a folder, or a place in an object store, named by its path or URL.

    /var/lib/ads/checkpoint                                         a folder
    s3://bucket/checkpoint?endpoint_override=HOST:PORT&scheme=http  an object store that speaks S3
    hdfs://host:port/checkpoint                                     Hadoop's file system (never tried)

Each file is written once and whole, so a storage needs no append, no rename and no lock: what replaces a file is one
rename in a folder, and one put in an object store.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from common.errors import AdstreamError, UnavailableError
from common.files import staged
from common.retry import OUTAGE_SECONDS, retry
from common.s3 import S3, client, put_new, remedy

REMOTE = "://"

Result = TypeVar("Result")

_REQUEST = re.compile(r" *\(?Request ID: \w+\)?")
"""What makes the same reason another one each time."""

log = logging.getLogger("adstream")


class Storage(Protocol):
    """A place for files, by name. It can be pickled: it holds nothing open. Names have `/` between their parts."""

    @property
    def place(self) -> str:
        """The place, as a path or URL."""
        ...

    def read(self, name: str) -> pa.Buffer:
        """What a file holds.

        Raises:
            OSError: It is not there, or the place can't be reached.
        """
        ...

    def write(self, name: str, content: pa.Buffer | bytes) -> None:
        """Writes a file: whole, or not at all, whatever becomes of the process. A power cut may leave it torn, in a folder.

        Who reads it compares it with a sum that was kept elsewhere.
        """
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Puts a file in the place of the one that is there; once this returns, it outlives a power cut.

        That holds for this file only: not for what was written before.
        """
        ...

    def claim(self, name: str, content: bytes) -> bytes:
        """Writes a file unless there is one already; gives what then stands there, and outlives a power cut."""
        ...

    def files(self, folder: str) -> dict[str, int]:
        """The files below a folder, at any depth, sorted, with their bytes."""
        ...

    def folders(self) -> list[str]:
        """The names of the folders right below the place, sorted."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Removes files; one that is not there is no error."""
        ...

    def clear(self, folder: str) -> None:
        """Removes all files below a folder."""
        ...

    def modified(self, name: str) -> int:
        """When a file was written, in epoch ms.

        Raises:
            OSError: It is not there.
        """
        ...


def is_remote(place: str) -> bool:
    """Whether a place is a URL, and not a folder of this machine."""
    return REMOTE in place


def absolute(place: str) -> str:
    """A place by a name that holds wherever an engine runs: a folder by its absolute path, a URL as it is."""
    return place if is_remote(place) else str(Path(place).absolute())


def below(place: str, name: str) -> str:
    """A place inside a place: the path of a folder, or a URL with its options kept."""
    path, query, options = place.partition("?")
    return f"{path.rstrip('/')}/{name}{query}{options}"


def storage_at(place: str) -> Storage:
    """The storage of a place.

    Raises:
        AdstreamError: It is a URL that names no storage.
    """
    if not is_remote(place):
        return Folder(place)
    _opened(place, os.getpid())
    return ObjectStore(place)


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or of a file system that all its machines share.

    Attributes:
        place: The folder.
    """

    place: str

    def read(self, name: str) -> pa.Buffer:
        """As `Storage.read`; the file is mapped, not copied."""
        with pa.memory_map(str(self._path(name))) as file:
            return file.read_buffer()

    def write(self, name: str, content: pa.Buffer | bytes) -> None:
        """As `Storage.write`."""
        # A task that is run twice at once writes the same twice; neither sees the other's half.
        with staged(self._path(name)) as place:
            place.write_bytes(content)

    def replace(self, name: str, content: bytes) -> None:
        """As `Storage.replace`."""
        with staged(self._path(name)) as place:
            _write_through(place, content)
        _sync_names(self._path(name).parent)

    def claim(self, name: str, content: bytes) -> bytes:
        """As `Storage.claim`."""
        target = self._path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        place = target.with_name(f"{target.name}.{uuid4().hex}")
        _write_through(place, content)
        with suppress(FileExistsError):
            target.hardlink_to(place)
        place.unlink()
        _sync_names(target.parent)
        return target.read_bytes()

    def files(self, folder: str) -> dict[str, int]:
        """As `Storage.files`."""
        return dict(sorted(_below(str(self._path(folder)), folder)))

    def folders(self) -> list[str]:
        """As `Storage.folders`."""
        return sorted(path.name for path in Path(self.place).glob("*") if path.is_dir())

    def delete(self, names: Iterable[str]) -> None:
        """As `Storage.delete`; a folder that is empty then is removed with them."""
        emptied = set()
        for name in names:
            path = self._path(name)
            path.unlink(missing_ok=True)
            emptied.add(path.parent)
        for parent in emptied - {Path(self.place)}:
            with suppress(OSError):
                parent.rmdir()  # which it can be once it is empty

    def clear(self, folder: str) -> None:
        """As `Storage.clear`."""
        shutil.rmtree(self._path(folder), ignore_errors=True)

    def modified(self, name: str) -> int:
        """As `Storage.modified`."""
        return self._path(name).stat().st_mtime_ns // 1_000_000

    def _path(self, name: str) -> Path:
        return Path(self.place, name)


def _write_through(path: Path, content: bytes) -> None:
    """Writes a file whose content outlives a power cut; its name does once `_sync_names` has returned."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_names(folder: Path) -> None:
    """Lets the names in a folder outlive a power cut: a rename is a change of the folder, not of the file."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems know no such thing
            raise
    finally:
        os.close(number)


def _below(path: str, name: str) -> Iterator[tuple[str, int]]:
    """The files below a folder, with their bytes. It is looked at after each step, so it asks for little."""
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            below = f"{name}/{entry.name}"
            if entry.is_dir():
                yield from _below(entry.path, below)
            else:
                with suppress(FileNotFoundError):  # taken away meanwhile
                    yield below, entry.stat().st_size


@dataclass(frozen=True)
class ObjectStore:
    """A place that PyArrow reaches by URL: S3, or a Hadoop file system. One that is away for a while is waited for.

    Attributes:
        place: The URL. Credentials come from the environment, as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    """

    place: str

    def read(self, name: str) -> pa.Buffer:
        """As `Storage.read`."""

        def attempt(files: fs.FileSystem, path: str) -> pa.Buffer:
            with files.open_input_file(path) as file:
                return file.read_buffer()

        return self._asked(name, attempt)

    def write(self, name: str, content: pa.Buffer | bytes) -> None:
        """As `Storage.write`: one put, which is seen when it is whole."""

        def attempt(files: fs.FileSystem, path: str) -> None:
            with files.open_output_stream(path) as file:
                file.write(content)

        self._asked(name, attempt)

    def replace(self, name: str, content: bytes) -> None:
        """As `Storage.replace`."""
        self.write(name, content)

    def claim(self, name: str, content: bytes) -> bytes:
        """As `Storage.claim`; in HDFS two that ask at the same moment may both be told that they were first."""
        if not self.place.startswith(S3):
            with suppress(FileNotFoundError):
                return self.read(name).to_pybytes()
            self.write(name, content)
            return self.read(name).to_pybytes()
        store = client(self.place)  # a library that is missing is not waited for, as a service is
        while not self._asked(name, lambda *_: put_new(store, name, content)):
            # What stands there may not be whole yet, or be dropped again in this moment.
            with suppress(FileNotFoundError):
                return self.read(name).to_pybytes()
        return content

    def files(self, folder: str) -> dict[str, int]:
        """As `Storage.files`."""

        def attempt(files: fs.FileSystem, path: str) -> list[Any]:
            return files.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))

        root = _opened(self.place, os.getpid())[1]
        found = (info for info in self._asked(folder, attempt) if info.type == fs.FileType.File)
        return dict(sorted((info.path.removeprefix(root).lstrip("/"), info.size) for info in found))

    def folders(self) -> list[str]:
        """As `Storage.folders`."""

        def attempt(files: fs.FileSystem, path: str) -> list[Any]:
            return files.get_file_info(fs.FileSelector(path.rstrip("/"), allow_not_found=True))

        return sorted(info.base_name for info in self._asked("", attempt) if info.type == fs.FileType.Directory)

    def delete(self, names: Iterable[str]) -> None:
        """As `Storage.delete`."""
        for name in names:
            with suppress(FileNotFoundError):
                self._asked(name, lambda files, path: files.delete_file(path))

    def clear(self, folder: str) -> None:
        """As `Storage.clear`."""
        self.delete(self.files(folder))

    def modified(self, name: str) -> int:
        """As `Storage.modified`."""
        info = self._asked(name, lambda files, path: files.get_file_info(path))
        if info.type != fs.FileType.File:
            raise FileNotFoundError(name)
        return info.mtime_ns // 1_000_000

    def _asked(self, name: str, attempt: Callable[[Any, str], Result]) -> Result:
        """What the storage answers; while it does not, it is asked again.

        Raises:
            FileNotFoundError: It has no such file.
            AdstreamError: It does not answer (`UNAVAILABLE`), or refuses it, which no waiting cures.
        """
        files, root = _opened(self.place, os.getpid())

        def once() -> Result:
            try:
                return attempt(files, f"{root}/{name}")
            except FileNotFoundError:
                raise
            except OSError as error:
                reason = _REQUEST.sub("", str(error).partition("\n")[0])
                if then := remedy(str(error)):
                    raise AdstreamError(f"storage '{self.place}' refuses it ({reason})", then) from error
                raise UnavailableError(
                    f"storage '{self.place}' does not serve it ({reason})",
                    "start it (adstream services up s3), or correct the URL",
                ) from error

        return retry(once, OUTAGE_SECONDS, log.warning)


@cache
def _opened(place: str, process: int) -> tuple[Any, str]:
    """The file system of a URL and the path in it; one a process, as its threads do not outlive a fork."""
    # Without credentials the client would ask the address at which a cloud's machines learn theirs, and wait for it.
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    try:
        files, path = fs.FileSystem.from_uri(place)
        if not path:
            raise ValueError("it names no bucket")
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        kind = UnavailableError if isinstance(error, OSError) else AdstreamError
        raise kind(
            f"storage '{place}' can't be opened ({reason})",
            "write s3://BUCKET/PATH?endpoint_override=HOST:PORT&scheme=http, or name a folder",
        ) from error
    return files, path.rstrip("/")
