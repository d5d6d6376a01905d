from __future__ import annotations

import pyarrow as pa

from common.operators.anomalies import ANOMALIES
from jobs.anomalies.rules import ClickRate


def test_only_windows_with_more_clicks_than_the_limit_are_found() -> None:
    windows = pa.table({"userId": ["ann", "bob"], "start": [0, 5], "end": [10, 15], "clicks": [4, 5]})
    found = ClickRate(4)(windows)
    assert found.schema == ANOMALIES
    assert [tuple(row.values()) for row in found.to_pylist()] == [("click-rate", "bob", 5, 15, 5.0, 4.0, 1.25, 5)]
