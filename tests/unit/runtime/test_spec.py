from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.runtime.orders import ORDER, Order
from common.runtime.spec import JobSpec

SPEC = JobSpec("sessions", "local", "stream", "/in", "/out", "/kept")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("spec.json", lambda folder: replace(SPEC, engine="spark").save(folder / "spec.json")),
        (ORDER, lambda folder: Order(True, engine="spark").give(folder)),
    ],
)
def test_what_others_look_at_is_never_seen_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], None]
) -> None:
    SPEC.save(tmp_path / "spec.json")
    Order().give(tmp_path)
    before = (tmp_path / name).read_text()

    def half(path: Path, text: str) -> None:
        path.write_bytes(text[: len(text) // 2].encode())
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", half)
        with pytest.raises(OSError, match="full"):
            write(tmp_path)
    assert (tmp_path / name).read_text() == before
    write(tmp_path)
    assert (tmp_path / name).read_text() != before
    assert not list(tmp_path.rglob("*.json.*"))
