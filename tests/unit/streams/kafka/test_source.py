from __future__ import annotations

import pytest

from common.errors import AdstreamError
from common.streams.folder import Position
from common.streams.kafka import source as source_module
from common.streams.kafka.address import Address
from common.streams.kafka.source import KafkaSource


def source(**counts: int) -> KafkaSource:
    named = {f"ad-{name}": count for name, count in counts.items()}
    return KafkaSource(Address("a:1", "http://r"), tuple(named), named)


def test_partitions_are_those_of_every_stream() -> None:
    assert source(views=2, clicks=1).partitions == ("ad-views/0", "ad-views/1", "ad-clicks/0")


def test_streams_with_equally_many_partitions_are_copartitioned() -> None:
    source(views=12, clicks=12).check_copartitioned()


def test_the_stream_to_repartition_is_named() -> None:
    with pytest.raises(AdstreamError) as refused:
        source(views=12, clicks=3).check_copartitioned()
    assert str(refused.value).startswith(
        "stream 'ad-clicks': 3 partitions, but 'ad-views' has 12: repartition one of them"
    )


@pytest.mark.parametrize("had", [1, 3])
def test_another_number_of_partitions_is_refused(had: int) -> None:
    position = Position({"ad-views/0": 5, **{f"ad-clicks/{number}": 7 for number in range(had)}})
    with pytest.raises(AdstreamError) as refused:
        source(views=1, clicks=2).check_partitions(position)
    assert str(refused.value) == (
        f"stream 'ad-clicks' has 2 partitions, but the checkpoint knows {had}: keys have moved between them, so the "
        "records of one key are no longer in the order of one partition: "
        "let the job begin anew (adstream reset JOB --output OUTPUT), or make the stream as it was"
    )


def test_the_number_of_partitions_at_the_first_step_is_the_one() -> None:
    source(views=1, clicks=2).check_partitions(Position())


def test_a_job_that_begins_with_the_latest_records_takes_what_comes_once_it_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also what comes between two looks, of which the first found nothing."""
    ends = {"ad-views/0": 10}
    monkeypatch.setattr(source_module, "partition_counts", lambda *_: {"ad-views": 1})
    monkeypatch.setattr(KafkaSource, "ends", lambda _: dict(ends))
    opened = KafkaSource.at(Address("a:1", "http://r", start="latest"), ("ad-views",))
    assert opened.next_step(Position()) is None
    ends["ad-views/0"] = 12
    step = opened.next_step(Position())
    assert step is not None
    assert [(split.start, split.stop) for split in step.splits] == [(10, 12)]
