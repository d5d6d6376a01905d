"""What is asked of a storage, whatever it is."""

from __future__ import annotations

import pickle
import time

import pytest

from common.storage import Storage


def check_storage(storage: Storage) -> None:
    """Asks an empty storage for all that it must do."""
    with pytest.raises(FileNotFoundError):
        storage.read("manifest.json")
    with pytest.raises(FileNotFoundError):
        storage.modified("manifest.json")
    assert storage.files("state") == {}
    assert storage.folders() == []
    storage.write("state/1/b.parquet", b"1234")
    storage.write("state/1/a.parquet", b"")
    storage.replace("manifest.json", b"one")
    storage.replace("manifest.json", b"two")
    assert storage.read("manifest.json").to_pybytes() == b"two"
    assert abs(storage.modified("manifest.json") - time.time() * 1000) < 600_000
    assert storage.files("state") == {"state/1/a.parquet": 0, "state/1/b.parquet": 4}
    assert storage.claim("plans/x", b"first") == b"first"
    assert storage.claim("plans/x", b"second") == b"first"
    assert storage.folders() == ["plans", "state"]
    again: Storage = pickle.loads(pickle.dumps(storage))  # noqa: S301 its own
    assert again.read("plans/x").to_pybytes() == b"first"
    storage.delete(["state/1/a.parquet", "state/1/none"])
    assert list(storage.files("state")) == ["state/1/b.parquet"]
    storage.clear("state")
    storage.clear("state")
    assert storage.files("state") == {}
    assert storage.read("manifest.json").to_pybytes() == b"two"
