from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import AdstreamError, UnavailableError
from common.services.stack import SERVICES, Stack


def test_nothing_runs_in_a_new_folder(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "none")
    assert stack.status() == [(name, None) for name in SERVICES]
    assert list(stack.down()) == []
    assert not stack.home.exists()


def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="there is no service 'kafak'"):
        list(Stack(tmp_path).up(["kafak"]))


def test_where_a_service_is_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as refused:
        Stack(tmp_path).endpoint("kafka", "bootstrap")
    assert str(refused.value) == "service 'kafka' does not run: adstream services up kafka"
