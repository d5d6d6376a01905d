"""From the columns of the lookup to the contracts of the output streams."""

from __future__ import annotations

import pyarrow as pa

from common.contracts.contract import load
from common.streams.columns import as_array, ms_to_timestamps


def enriched_records(joined: pa.Table) -> pa.Table:
    """Joined clicks as records of `enriched-clicks`."""
    return _records(joined, "enriched-clicks")


def unmatched_records(unmatched: pa.Table) -> pa.Table:
    """Clicks without an advertisement as records of `unmatched-clicks`."""
    return _records(unmatched, "unmatched-clicks")


def _records(rows: pa.Table, stream: str) -> pa.Table:
    schema = load(stream).arrow
    fields = list(schema.field("value").type)
    columns = {name: as_array(rows[name]) for name in rows.column_names}
    columns["createdEventTime"] = ms_to_timestamps(columns["eventTime"])
    value = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
    return pa.Table.from_arrays([columns["userId"], value], schema=schema)
