"""Dynamic allocation, as it is asked for and as Spark is told."""

from __future__ import annotations

import pytest

from common.engines.spark.allocation import Allocation
from common.errors import AdstreamError


def test_without_a_range_the_cluster_decides() -> None:
    assert Allocation.of({}, 4) is None


def test_an_open_range_ends_at_the_tasks_there_are() -> None:
    assert Allocation.of({"executors": "1.."}, 4) == Allocation(1, 4, 1, 60_000, shuffle_service=False)
    assert Allocation.of({"executors": "0..", "executor-cores": "3"}, 4) == Allocation(0, 2, 3, 60_000, False)
    assert Allocation.of({"executors": "6.."}, 4) == Allocation(6, 6, 1, 60_000, False)


def test_without_a_shuffle_service_who_holds_what_is_tracked() -> None:
    asked = Allocation.of({"executors": "1..3", "executor-idle": "10s"}, 8)
    assert asked is not None
    tracked = asked.properties()
    assert tracked["spark.dynamicAllocation.shuffleTracking.enabled"] == "true"
    assert tracked["spark.dynamicAllocation.shuffleTracking.timeout"] == "10s"
    assert tracked["spark.dynamicAllocation.maxExecutors"] == "3"
    assert "spark.shuffle.service.enabled" not in tracked


def test_with_a_shuffle_service_nothing_is_tracked() -> None:
    asked = Allocation.of({"executors": "0..3", "shuffle-service": "yes"}, 8)
    assert asked is not None
    served = asked.properties()
    assert served["spark.shuffle.service.enabled"] == "true"
    assert not any("shuffleTracking" in name for name in served)
    assert (served["spark.dynamicAllocation.minExecutors"], served["spark.dynamicAllocation.initialExecutors"]) == (
        "0",
        "1",
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"executors": "4"}, "executors=4 is no range"),
        ({"executors": "4..1"}, "no range"),
        ({"executors": "0..0"}, "no range"),
        ({"executors": "1..2", "executor-cores": "0"}, "executor-cores=0"),
        ({"executors": "1..2", "executor-idle": "soon"}, "executor-idle: 'soon'"),
        ({"executors": "1..2", "shuffle-service": "maybe"}, "maybe"),
        ({"executor-idle": "1m"}, "needs executors"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, str], told: str) -> None:
    with pytest.raises(AdstreamError, match=told):
        Allocation.of(options, 2)
