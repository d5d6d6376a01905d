"""What every storage must do; the same is asked of a real object store in tests/integration/test_storage.py."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from common.errors import AdstreamError
from common.storage import Storage, below, storage_at
from tests.unit.storages import check_storage


def test_a_folder_is_a_storage(tmp_path: Path) -> None:
    check_storage(storage_at(str(tmp_path / "kept")))


def test_a_place_in_a_place_keeps_its_options() -> None:
    assert below("s3://ads/kept?scheme=http", "sessions") == "s3://ads/kept/sessions?scheme=http"
    assert below("/kept/", "sessions") == "/kept/sessions"


@pytest.mark.parametrize("place", ["ftp://there/kept", "s3://ads/kept?no_such_option=1", "s3://", "s3://?scheme=http"])
def test_a_url_that_names_no_storage_is_refused(place: str) -> None:
    with pytest.raises(AdstreamError, match="can't be opened"):
        storage_at(place)


def test_what_was_half_written_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage: Storage = storage_at(str(tmp_path))
    storage.write("a/b", b"whole")

    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="full"):
        storage.write("a/b", b"other")
    assert storage.read("a/b").to_pybytes() == b"whole"


def test_what_is_replaced_is_on_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = list[tuple[bool, bool]]()

    def synced(number: int) -> None:
        there.append((stat.S_ISDIR(os.fstat(number).st_mode), (tmp_path / "a" / "b").exists()))
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "not on this file system")

    monkeypatch.setattr(os, "fsync", synced)
    storage_at(str(tmp_path)).replace("a/b", b"whole")
    assert there == [(False, False), (True, True)], "first the file, then, once it has its name, the folder"
