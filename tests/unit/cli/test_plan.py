from __future__ import annotations

import json

import pytest

from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream


def test_the_picture_is_mermaid_and_nothing_else(adstream: Adstream) -> None:
    said = adstream("plan", "sessions", "--set", "gap=15m")
    assert said.code == ExitCode.OK
    assert said.out.startswith("flowchart LR\n")
    assert "gap 15m" in said.out
    assert said.err == ""


def test_json_is_json_and_nothing_else(adstream: Adstream) -> None:
    plan = json.loads(adstream("plan", "sessions", "--json").out)
    assert plan["job"] == "sessions"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sesions",), "unknown job 'sesions': did you mean 'sessions'?"),
        (("sessions", "--set", "grace=-1"), "--set grace=-1: '-1' is not a duration"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    adstream: Adstream, arguments: tuple[str, ...], message: str
) -> None:
    said = adstream("plan", *arguments)
    assert said.code == ExitCode.REFUSED
    assert message in said.error
