"""From the columns of the join to the contract of the output stream."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.streams.columns import as_array
from jobs.engagements.events import ADVERTISEMENT


def engagement_records(joined: pa.Table) -> pa.Table:
    """Joined rows as records of `ad-engagements`; the value is null where both sides are absent."""
    schema = load("ad-engagements").arrow
    left, right = as_array(joined["left"]), as_array(joined["right"])
    columns = [pc.struct_field(left, "sum"), pc.struct_field(right, "name"), pc.struct_field(right, "type")]
    gone = pc.and_(left.is_null(), right.is_null())
    value = pa.StructArray.from_arrays(columns, fields=list(schema.field("value").type), mask=gone)
    return pa.table([as_array(joined[ADVERTISEMENT.name]), value], schema=schema)
