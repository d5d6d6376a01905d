from __future__ import annotations

import pytest

from common.errors import AdstreamError, ExitCode
from common.services.connectors import _failed, _login, start
from common.services.process import free_port


def test_an_address_is_debeziums_login() -> None:
    assert _login("postgresql://me:secret@db:5433/shop") == {
        "database.hostname": "db",
        "database.port": "5433",
        "database.user": "me",
        "database.password": "secret",
        "database.dbname": "shop",
    }


def test_a_failure_is_its_innermost_cause() -> None:
    trace = "a.B: could not start\n\tat a.B.c(B.java:1)\nCaused by: d.E: no such table\n\tat d.E.f(E.java:2)\n\t... 7 more\n"
    assert str(_failed("ads", trace)).startswith("connector 'ads' failed: d.E: no such table: ")


def test_connect_that_is_not_there_is_said() -> None:
    with pytest.raises(AdstreamError, match="does not answer") as caught:
        start(f"http://127.0.0.1:{free_port()}", "ads", {}, "postgresql://localhost/shop")
    assert caught.value.code is ExitCode.UNAVAILABLE


def test_debezium_gets_the_login_as_it_is_and_not_as_it_stands_in_an_address() -> None:
    login = _login("postgresql://m%40e:p%23%2F@db/my%20shop")
    assert [login[f"database.{name}"] for name in ("user", "password", "dbname")] == ["m@e", "p#/", "my shop"]
