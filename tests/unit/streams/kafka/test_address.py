from __future__ import annotations

import pytest

from common.errors import AdstreamError
from common.streams.kafka.address import Address, PartitionPath


def test_an_address_is_read() -> None:
    read = Address.parse("kafka://a:1,b:2?registry=http://r:3/api&user=job&start=latest")
    assert read == Address("a:1,b:2", "http://r:3/api", "job", "latest")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("kafka://a:1", "'kafka://a:1' is not the address of a broker"),
        ("http://a:1?registry=http://r", "'http://a:1?registry=http://r' is not the address of a broker"),
        ("kafka://a:1?registry=r&start=soon", "start is 'soon': give earliest, latest, or a time in epoch ms"),
        ("kafka://a:1?registry=r&start=²", "start is '²': give earliest, latest, or a time in epoch ms"),
        ("kafka://a:1?registri=r", "unknown option 'registri': did you mean 'registry'?"),
        ("kafka://a:1?registry=r:8081", "'r:8081' is no registry's URL: write registry=http://HOST:PORT"),
        ("kafka://a:1?registry=r", "'r' is no registry's URL"),
    ],
)
def test_what_is_no_address_is_refused(url: str, problem: str) -> None:
    with pytest.raises(AdstreamError) as refused:
        Address.parse(url)
    assert problem in str(refused.value)


def test_the_path_of_a_split_tells_all_that_a_task_needs() -> None:
    path = PartitionPath(Address("a:1", "http://r:2/api?v=7&w", "ann&bob"), "ad-views", 11, "/kept here/a&b=c?")
    assert PartitionPath.parse(path.url()) == path


def test_a_slash_at_the_end_of_the_registry_is_no_part_of_what_is_asked() -> None:
    assert Address.parse("kafka://a:1?registry=http://r:8081/").registry == "http://r:8081"
