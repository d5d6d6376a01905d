"""From the columns of findings to the contract of the output stream."""

from __future__ import annotations

import pyarrow as pa

from common.contracts.contract import load
from common.streams.columns import as_array, ms_to_timestamps

STREAM = "ad-anomalies"


def anomaly_records(findings: pa.Table) -> pa.Table:
    """`ANOMALIES` rows as records of `ad-anomalies`: key (kind, subject, window), value the finding or null."""
    schema = load(STREAM).arrow
    rows = pa.StructArray.from_arrays(
        [as_array(findings[name]) for name in findings.column_names], fields=list(findings.schema)
    )
    key_type, value_type = schema.field("key").type, schema.field("value").type
    bounds = [ms_to_timestamps(rows.field(name)) for name in ("start", "end")]
    window = pa.StructArray.from_arrays(bounds, fields=list(key_type.field("window").type))
    key = pa.StructArray.from_arrays([rows.field("kind"), rows.field("subject"), window], fields=list(key_type))
    columns = [rows.field(field.name) for field in value_type]
    value = pa.StructArray.from_arrays(columns, fields=list(value_type), mask=rows.field("score").is_null())
    return pa.Table.from_arrays([key, value], schema=schema)
