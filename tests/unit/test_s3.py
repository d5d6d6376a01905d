"""What an object store's failures tell, in each spelling; the store itself is asked in tests/integration."""

from __future__ import annotations

import pytest

from common.s3 import remedy


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("403 Forbidden: <Error><Code>InvalidAccessKeyId</Code></Error>", "correct AWS_ACCESS_KEY_ID"),
        ("AWS Error INVALID_ACCESS_KEY_ID during ListObjectsV2", "correct AWS_ACCESS_KEY_ID"),
        ("AWS Error SIGNATURE_DOES_NOT_MATCH during CreateMultipartUpload", "correct AWS_SECRET_ACCESS_KEY"),
        ("AWS Error SLOW_DOWN during HeadObject", None),
        ("<Code>SlowDown</Code>", None),
        ("Connection refused", None),
    ],
)
def test_only_what_no_waiting_cures_has_a_remedy(failure: str, told: str | None) -> None:
    assert remedy(failure) == told


def test_a_bare_refusal_names_both_halves_of_the_credentials() -> None:
    told = remedy("AWS Error ACCESS_DENIED during HeadObject operation: No response body.")
    assert told is not None and "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told
