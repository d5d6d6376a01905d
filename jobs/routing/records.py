"""From what was not routed to the contract of `unrouted`."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from common.contracts.contract import load
from common.streams.columns import as_array, ms_to_timestamps


@dataclass(frozen=True)
class UnroutedRecords:
    """`UNROUTED_ROWS` as records of `unrouted`.

    Attributes:
        stream: The stream that they came on.
    """

    stream: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        schema = load("unrouted").arrow
        fields = list(schema.field("value").type)
        columns = {
            "stream": pa.repeat(self.stream, rows.num_rows),
            "value": as_array(rows["value"]),
            "eventTime": ms_to_timestamps(as_array(rows["eventTime"])),
            "branch": as_array(rows["branch"]),
            "reason": as_array(rows["reason"]),
        }
        value = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
        return pa.Table.from_arrays([as_array(rows["key"]), value], schema=schema)
