from __future__ import annotations

import json

import pyarrow as pa

from common.contracts.contract import load
from common.operators.anomalies import ANOMALIES
from common.streams.json_text import json_lines
from jobs.anomalies.records import anomaly_records

ROWS = [
    ("no-pause", "bot-1", 0, 10, 2.0, 4.0, 2.0, 9),
    ("click-through", "7", -5, 5, None, None, None, None),
]


def test_findings_and_tombstones_are_records_of_their_contract() -> None:
    columns = [pa.array(column, field.type) for column, field in zip(zip(*ROWS, strict=True), ANOMALIES, strict=True)]
    findings = pa.table(columns, schema=ANOMALIES)
    records = anomaly_records(pa.concat_tables([findings.slice(0, 1), findings.slice(1)]))
    assert records.schema == load("ad-anomalies").arrow
    finding, tombstone = json_lines(records).to_pylist()
    assert json.loads(finding) == {
        "key": {"kind": "no-pause", "subject": "bot-1", "window": {"start": 0, "end": 10}},
        "value": {"observed": 2.0, "expected": 4.0, "score": 2.0, "support": 9},
    }
    assert json.loads(tombstone) == {
        "key": {"kind": "click-through", "subject": "7", "window": {"start": -5, "end": 5}},
        "value": None,
    }


def test_no_findings_are_no_records() -> None:
    assert anomaly_records(ANOMALIES.empty_table()).num_rows == 0
