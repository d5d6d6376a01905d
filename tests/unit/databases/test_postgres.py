"""Addresses of databases; no database is reached."""

from __future__ import annotations

import pytest

from common.databases.postgres import Database
from common.errors import AdstreamError


@pytest.mark.parametrize(
    "url", ["postgresql://me:pass#word@db:5432/shop", "postgresql://me:pass/word@db/shop", "postgresql://a:1,b:2/shop"]
)
def test_an_address_that_can_not_be_read_is_refused_and_shows_no_password(url: str) -> None:
    with pytest.raises(AdstreamError, match="the port in the database's address is not a number") as refused:
        Database(url, read_only=True)
    assert "word" not in refused.value.problem and "pass" not in refused.value.problem
