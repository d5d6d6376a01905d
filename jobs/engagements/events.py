"""From the contracts of the input streams to the columns of the operators, and from one operator to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.contributions import Contributions
from common.operators.join import Join
from common.operators.sides import Side
from common.operators.totals import Totals
from common.streams.columns import as_array, item_counts, timestamps_to_ms
from jobs.engagements.conversions import Attribution, Bools, Conversions, conversions

SESSION = "session"
"""The column that tells sessions apart: userId, start and end of the window, as one text."""
ADVERTISEMENT = pa.field("advertisementId", pa.int64(), nullable=False)
TOTALS = Totals(ADVERTISEMENT)
ENGAGEMENTS = Join(
    key=ADVERTISEMENT,
    left=Side("sums", pa.struct([pa.field("sum", pa.int64(), nullable=False)])),
    right=Side(
        "advertisements",
        pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("type", pa.string(), nullable=False)]),
    ),
    how="full",
)


def bills(attribution: Attribution) -> Contributions:
    """What each session contributes to the advertisements, counted by an attribution."""
    return Contributions(SESSION, ADVERTISEMENT, measure=attribution)


@dataclass(frozen=True)
class AsContributions:
    """Records of `ad-sessions` as events of `bills`: the conversions of each session, null in a tombstone.

    Attributes:
        attribution: Which views a click converts.
    """

    attribution: Attribution

    def __call__(self, records: pa.Table) -> pa.Table:
        key, value = as_array(records["key"]), as_array(records["value"])
        actions = pc.struct_field(value, "actions")
        flat = actions.flatten()
        counted = conversions(
            item_counts(actions),
            flat.field("advertisementId").to_numpy(),
            _clicks(flat.field("action")),
            self.attribution,
        )
        operator = bills(self.attribution)
        contributions = _by_session(counted, operator.contributions, value.is_null())
        return pa.table([_session(key), contributions], schema=operator.event_schema)


def totals_as_left(totals: pa.Table) -> pa.Table:
    """Totals and their tombstones as events of `ENGAGEMENTS`."""
    total = as_array(totals["total"])
    sums = pa.StructArray.from_arrays([total.fill_null(0)], fields=list(ENGAGEMENTS.left.columns), mask=total.is_null())
    return ENGAGEMENTS.left_events(as_array(totals[ADVERTISEMENT.name]), sums)


def advertisements_as_right(records: pa.Table) -> pa.Table:
    """Records of `advertisements` as events of `ENGAGEMENTS`."""
    return ENGAGEMENTS.right_events(as_array(records["key"]), as_array(records["value"]))


def _session(key: pa.StructArray) -> pa.Array:
    """One text a key; numbers have no spaces, so no two keys have the same."""
    window = key.field("window")
    bounds = [timestamps_to_ms(window.field(name)).cast(pa.string()) for name in ("start", "end")]
    return pc.binary_join_element_wise(key.field("userId"), *bounds, " ")


def _clicks(action: pa.DictionaryArray) -> Bools:
    click = action.dictionary.index("Click").as_py()
    clicks: Bools = action.indices.to_numpy() == click
    return clicks


def _by_session(counted: Conversions, type_: pa.ListType, gone: pa.Array) -> pa.ListArray:
    """Conversions as one list a session; null where the session is gone."""
    items = pa.StructArray.from_arrays([counted.advertisement, counted.count], fields=list(type_.value_type))
    offsets = np.searchsorted(counted.session, np.arange(len(gone) + 1))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, type=type_, mask=gone)
