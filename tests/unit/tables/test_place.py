"""Where tables lie: what Delta's library is told of a URL, which URLs are refused, and failures of a store in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from common.errors import AdstreamError, ExitCode
from common.tables.place import TablePlace
from common.tables.runs import begin, running

deltalake = pytest.importorskip("deltalake")

LOCAL = "s3://lake/ads?endpoint_override=127.0.0.1:9000&scheme=http&region=eu-central-1"


def test_a_url_is_told_in_the_words_of_deltas_library() -> None:
    place = TablePlace(LOCAL)
    told = {name: value for name, value in place.options.items() if name.startswith("aws_")}
    assert told == {
        "aws_endpoint_url": "http://127.0.0.1:9000",
        "aws_allow_http": "true",
        "aws_region": "eu-central-1",
        "aws_conditional_put": "etag",
    }
    assert place.where("ad-clicks") == "s3://lake/ads/ad-clicks"
    cloud = TablePlace("s3://lake").options
    assert cloud["aws_allow_http"] == "false" and not {"aws_endpoint_url", "aws_region"} & set(cloud)


def test_a_folder_needs_no_options(tmp_path: Path) -> None:
    place = TablePlace(str(tmp_path))
    assert place.options == {} and place.names() == [] and place.open("ad-clicks") is None
    assert place.where("ad-clicks") == str(tmp_path / "ad-clicks")


def test_a_place_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(TablePlace(LOCAL))) == TablePlace(LOCAL)  # noqa: S301 its own


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("s3://lake/ads?retries=9", r"no place for tables \(unknown option 'retries'\): write s3://BUCKET/PATH"),
        ("s3://lake/ads?secret_key=x", "no place for tables"),
        ("hdfs://host:1/ads", "'hdfs://host:1/ads' is no place for tables: write s3://"),
        ("s3:///ads", "is no place for tables"),
    ],
)
def test_a_url_that_is_no_place_for_tables_is_refused(place: str, line: str) -> None:
    with pytest.raises(AdstreamError, match=line):
        TablePlace(place).check()


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(AdstreamError, match="holds credentials: leave them out, and set AWS_ACCESS_KEY_ID") as refused:
        TablePlace("s3://key:secret@lake/ads").check()
    assert "secret@" not in str(refused.value) and "key:" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        (
            "Generic S3 error\n ↳ 404 Not Found\n <Code>NoSuchBucket</Code><Message>It is not there.</Message></Error>",
            "t can't be reached (NoSuchBucket: It is not there): make the bucket, or correct the URL",
            ExitCode.REFUSED,
        ),
        (
            "No privileges\n ↳ Error performing PUT\n ↳ 403\n ↳ <Error><Code>SlowDown</Code></Error>",
            "t is not served (SlowDown): start it (adstream services up s3), or correct the URL",
            ExitCode.UNAVAILABLE,
        ),
        (
            "Generic S3 error\n \x1b[31m↳\x1b[0m tcp connect error\n   \x1b[31m↳\x1b[0m Connection refused (os error 111)\n",
            "t is not served (Connection refused (os error 111)): start it (adstream services up s3), or correct the URL",
            ExitCode.UNAVAILABLE,
        ),
        (
            "Generic S3 error\n ↳ Error performing PUT http://169.254.169.254/latest/api/token",
            "t: there are no credentials for it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ExitCode.REFUSED,
        ),
    ],
)
def test_what_a_store_says_is_one_line(text: str, line: str, code: ExitCode) -> None:
    with pytest.raises(AdstreamError) as told, TablePlace(LOCAL).told("t"):
        raise OSError(text)
    assert (str(told.value), told.value.code) == (line, code)


def test_what_is_no_failure_of_a_store_stays_what_it_is() -> None:
    with pytest.raises(deltalake.exceptions.DeltaError, match="a defect"), TablePlace(LOCAL).told("t"):
        raise deltalake.exceptions.DeltaError("a defect")


def test_each_run_has_a_number_of_its_own(tmp_path: Path) -> None:
    numbers = {begin(str(tmp_path)) for _ in range(5)}
    assert len(numbers) == 5 and running(str(tmp_path)) in numbers and max(numbers) < 2**62
