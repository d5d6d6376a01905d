"""The records of a stream as a table takes them: of entities, the last one of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from common.contracts.contract import Contract
from common.operators.keys import distinct, last_rows
from common.operators.step import END, Step, Watermarks
from common.streams.columns import as_array
from common.streams.json_text import json_text

NO_STATE = pa.schema([])
KEY_TEXT = "keyText"
"""The key as JSON text: what records are shuffled by, whatever the type of their key."""


@dataclass(frozen=True)
class Keyed:
    """A batch function for before the shuffle: records, with `KEY_TEXT`.

    Attributes:
        contract: The contract of the records.
    """

    contract: Contract

    def __call__(self, records: pa.Table) -> pa.Table:
        keys = json_text(as_array(records["key"]))
        return pa.Table.from_arrays([*records.columns, keys], schema=keyed_schema(self.contract))


@dataclass(frozen=True)
class Land:
    """Passes events on; of entities, the last record of each key, as a table holds one row of it.

    It keeps no state: the records of a key come in one partition, so a later step never brings an older one.

    Attributes:
        contract: The contract of the records.
    """

    contract: Contract

    state_schema: pa.Schema = NO_STATE
    state_key: None = None

    @property
    def event_schema(self) -> pa.Schema:
        """The columns of the contract, and `KEY_TEXT`."""
        return keyed_schema(self.contract)

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`records`: some of the records, in the contract's Arrow schema."""
        return {"records": self.contract.arrow}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """There is no state that depends on anything."""
        return {"operator": "land"}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes the records that a table needs.

        Args:
            state: Empty.
            events: Records with their `KEY_TEXT`; those of a key in their order.
            time: Not used: a table takes late records, too.
        """
        records = events.drop_columns([KEY_TEXT])
        if self.contract.meta.tombstones and events.num_rows:
            keys, (places,) = distinct([as_array(events[KEY_TEXT])])
            records = records.take(pa.array(np.sort(last_rows(places, len(keys)))))
        superseded = events.num_rows - records.num_rows
        return Step(state, {"records": records}, {"landed": records.num_rows, "superseded": superseded}, {}, END)


def keyed_schema(contract: Contract) -> pa.Schema:
    """Records with the text of their key."""
    return contract.arrow.append(pa.field(KEY_TEXT, pa.string(), nullable=False))
