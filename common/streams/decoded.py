"""What decoding gives: records that keep their contract, and dead letters for those that do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from common.contracts.contract import load
from common.streams.folder import Split

DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True)
class Decoded:
    """A batch of a split.

    Attributes:
        records: The records that keep the contract, in the contract's Arrow schema.
        dead: A dead letter for every other one, in the schema of `dead-letters`.
    """

    records: pa.Table
    dead: pa.Table


@dataclass(frozen=True)
class DeadLetter:
    """A record that breaks its contract.

    Attributes:
        offset: Its place in the file: the number of the line or record, from 0.
        raw: The record as it came.
        reason: What is wrong, naming field and value.
        records: How many records it stands for.
    """

    offset: int
    raw: bytes
    reason: str
    records: int = 1


def dead_letters(split: Split, letters: Iterable[DeadLetter]) -> pa.Table:
    """Records of the stream `dead-letters`.

    Args:
        split: Where the letters come from.
        letters: What was found there.
    """
    schema = load(DEAD_LETTERS).arrow
    rows = [
        {
            "stream": split.stream,
            "partition": split.place,
            "offset": letter.offset,
            "records": letter.records,
            "raw": letter.raw,
            "reason": letter.reason,
        }
        for letter in letters
    ]
    keys = pa.array([split.stream] * len(rows), schema.field("key").type)
    return pa.table([keys, pa.array(rows, schema.field("value").type)], schema=schema)
