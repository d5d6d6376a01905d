from __future__ import annotations

import keyword
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import streams
from common.errors import AdstreamError
from common.scaffold.names import job_name, owner_name, stream_name

texts = st.text("ab1-_. A/é", max_size=25)


@given(texts)
def test_a_job_is_a_package_and_a_kubernetes_name_or_refused(name: str) -> None:
    fits = bool(re.fullmatch("[a-z][a-z0-9]{0,19}", name))
    if not fits:
        with pytest.raises(AdstreamError):
            job_name(name, ())
    else:
        assert job_name(name, ()).isidentifier()
        assert not keyword.iskeyword(name)


@given(texts)
def test_a_stream_is_a_topic_and_a_folder_or_refused(name: str) -> None:
    parts = name.split("-")
    fits = all(re.fullmatch("[a-z0-9]+", part) for part in parts) and name[:1].isalpha()
    if not fits:
        with pytest.raises(AdstreamError):
            stream_name(name, ())
    else:
        assert stream_name(name, ()) == name


@pytest.mark.parametrize("name", streams())
def test_the_streams_there_are_could_be_made_so(name: str) -> None:
    assert stream_name(name, ()) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sessions", "there is a job 'sessions' already: choose another name"),
        ("click_counts", "job 'click_counts' can't be called so: write small letters and digits, such as clickcounts"),
        ("../x", "can't be called so"),
        ("", "job '' can't be called so"),
        ("class", "it is a word of Python: choose another name"),
        ("json", "it is a word of Python"),
        ("a" * 21, "is too long: 21 characters: take at most 20"),
    ],
)
def test_a_job_that_can_not_be_called_so_is_one_line(name: str, message: str) -> None:
    with pytest.raises(AdstreamError) as error:
        job_name(name, ("sessions",))
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["Ad-refunds", "ad--refunds", "-ad", "ad-", "ad/refunds", "ad refunds", ""])
def test_a_stream_or_team_that_can_not_be_called_so_is_one_line(name: str) -> None:
    with pytest.raises(AdstreamError, match="can't be called so: write small letters, digits and single hyphens"):
        stream_name(name, ())
    with pytest.raises(AdstreamError, match="can't be called so: write small letters, digits and single hyphens"):
        owner_name(name)


def test_a_stream_that_is_there_is_refused() -> None:
    with pytest.raises(AdstreamError, match="there is a stream 'ad-views' already"):
        stream_name("ad-views", streams())
    with pytest.raises(AdstreamError, match="too long"):
        stream_name("a" * 51, ())
