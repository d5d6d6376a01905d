from __future__ import annotations

import pytest

from common.cli import contracts
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
