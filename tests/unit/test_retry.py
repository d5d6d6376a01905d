from __future__ import annotations

from collections.abc import Callable

import pytest

from common import retry as module
from common.errors import AdstreamError, ExitCode, UnavailableError
from common.retry import retry


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)


def failing(*failures: AdstreamError) -> Callable[[], str]:
    left = list(failures)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "served"

    return attempt


def away(what: str) -> AdstreamError:
    return UnavailableError(f"the {what} does not answer", "start it")


def test_each_reason_to_wait_is_told_once_and_the_end_of_the_wait() -> None:
    told: list[str] = []
    attempt = failing(away("broker"), away("broker"), away("registry"), away("broker"))
    assert retry(attempt, 60, told.append) == "served"
    assert told == [
        "the broker does not answer; trying again for up to 1m",
        "the registry does not answer; trying again for up to 1m",
        "it is served again after 0 s",
    ]


def test_what_is_served_at_once_is_not_told() -> None:
    told: list[str] = []
    assert retry(failing(), 60, told.append) == "served"
    assert told == []


def test_the_last_failure_is_raised_when_the_time_is_up() -> None:
    with pytest.raises(AdstreamError) as failed:
        retry(failing(*[away("broker")] * 1000), 0.05, lambda _: None)
    assert str(failed.value) == "the broker does not answer, after 50ms of trying: start it"
    assert failed.value.code is ExitCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "seconds"), [(AdstreamError("no such stream"), 60), (away("broker"), 0)], ids=["refused", "no time"]
)
def test_what_waiting_does_not_help_is_raised_at_once(error: AdstreamError, seconds: float) -> None:
    told: list[str] = []
    with pytest.raises(AdstreamError) as failed:
        retry(failing(error), seconds, told.append)
    assert failed.value is error
    assert told == []
