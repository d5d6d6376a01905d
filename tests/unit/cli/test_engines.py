from __future__ import annotations

import pytest

from common.cli import engines
from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream


def test_engines_are_listed_with_what_they_lack(adstream: Adstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "available", lambda engine: "no [Java]: install it" if engine == "spark" else None)
    said = adstream("engines")
    assert said.code == ExitCode.OK
    rows = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in said.out.splitlines() if line.strip()}
    assert rows == {
        "engine": "here",
        "local": "available",
        "spark": "no [Java]: install it",
        "flink": "available",
        "beam": "available",
    }
