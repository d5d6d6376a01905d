from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from common.cli import contracts
from common.contracts.contract import STREAMS
from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream


def test_every_stream_is_checked(adstream: Adstream) -> None:
    said = adstream("contracts", "check")
    assert said.code == ExitCode.OK
    assert "ad-views: 1 version, compatible" in said.out


def test_a_breaking_change_is_exit_code_2_and_named(adstream: Adstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        contracts, "check_stream", lambda stream: [f"{stream}: broken [x]"] if stream == "ad-views" else []
    )
    said = adstream("contracts", "check")
    assert said.code == ExitCode.REFUSED
    assert "  ad-views: broken [x]" in said.out


def changed(stream: str, root: Path) -> Path:
    """The contracts, with another number of partitions of a stream."""
    before = Path(shutil.copytree(str(STREAMS), root / "before"))
    path = before / stream / "stream.yaml"
    path.write_text(path.read_text().replace("partitions: 12", "partitions: 6"))
    return before


def test_a_change_tells_readers_and_breaks_them_with_exit_code_1(
    adstream: Adstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = changed("ad-sessions", tmp_path)
    monkeypatch.setattr(contracts, "contracts_at", lambda _: nullcontext(before))
    said = adstream("contracts", "diff", "main")
    assert said.code == ExitCode.DIFFERENT
    assert "ad-sessions (behaviour): NOT COMPATIBLE\n  partitions: 6 → 12\n" in said.out
    assert "    engagements (billing) must begin anew" in said.out
    (plain,) = json.loads(adstream("contracts", "diff", "main", "--json").out)
    assert [told["name"] for told in plain["writers"]] == ["billing", "sessions"]


def test_a_change_that_nobody_reads_is_exit_code_0(
    adstream: Adstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = changed("routed-views", tmp_path)
    monkeypatch.setattr(contracts, "contracts_at", lambda _: nullcontext(before))
    said = adstream("contracts", "diff", "main")
    assert said.code == ExitCode.OK
    assert "  read by: nobody\n" in said.out


def test_contracts_that_stayed_are_told_in_a_line(adstream: Adstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "contracts_at", lambda _: nullcontext(STREAMS))
    assert adstream("contracts", "diff", "main").out == "no contract has changed since main\n"
    assert json.loads(adstream("contracts", "diff", "main", "--json").out) == []
