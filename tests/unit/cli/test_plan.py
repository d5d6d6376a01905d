from __future__ import annotations

import json

import pytest

from common.config.described import described
from common.config.jobs import jobs, settings_type
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


def test_the_settings_of_a_job_are_told_with_what_they_mean(adstream: Adstream) -> None:
    said = adstream("plan", "sessions", "--settings", "--set", "grace=1h", "--set", "checkpoint.retention=3")
    rows = {line.split()[0]: line.strip().split(maxsplit=2)[1:] for line in said.out.splitlines()[1:]}
    assert rows["gap"] == ["30m", "longest break inside a session"]
    assert rows["grace"][0] == "1h"
    assert rows["checkpoint.retention"] == ["3", "how many complete checkpoints are kept"]


@pytest.mark.parametrize("job", jobs())
def test_every_setting_of_every_job_says_what_it_is(job: str) -> None:
    model = settings_type(job)
    assert all(meaning for _, _, meaning in described(model, model().model_dump()))


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
