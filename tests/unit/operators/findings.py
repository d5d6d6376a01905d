"""Findings as a table, for tests."""

from __future__ import annotations

import pyarrow as pa

from tests.conformance.anomalies_oracle import Findings


class Reader:
    """Applies findings to a table, and insists that each of them says something new and true."""

    def __init__(self) -> None:
        self.table: Findings = {}
        self.upserts = 0
        self.tombstones = 0

    def apply(self, findings: pa.Table) -> None:
        for row in findings.to_pylist():
            kind, subject, start, end, *value = row.values()
            key = (kind, subject, start, end)
            if row["score"] is None:
                assert value == [None] * 4
                assert key in self.table, f"a tombstone for {key}, which is not in the table"
                del self.table[key]
                self.tombstones += 1
            else:
                assert self.table.get(key) != tuple(value), f"{key} told again, unchanged"
                self.table[key] = tuple(value)
                self.upserts += 1
