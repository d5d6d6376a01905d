"""Files to records: one reader a format, one verdict on what is good."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from common.contracts.contract import Contract
from common.errors import AdstreamError, reason_of
from common.streams.avro import read_avro
from common.streams.decoded import Decoded
from common.streams.folder import SUFFIXES, Split
from common.streams.jsonl import read_jsonl
from common.streams.parquet import read_parquet

__all__ = ["Decoded", "read"]

_READERS = dict(zip(SUFFIXES, (read_jsonl, read_avro, read_parquet), strict=True))


def read(split: Split, contract: Contract, latest_allowed: int) -> Iterator[Decoded]:
    """Reads a split in batches; every record of it is in `records`, or stands in `dead` (SEMANTICS.md, "Bad input").

    Args:
        split: What to read. An empty file holds no records, in any format.
        contract: The contract of its stream.
        latest_allowed: The latest event time that is not too far ahead of the clock, in epoch ms.

    Raises:
        AdstreamError: The file can't be read, or its schema is not the contract's.
    """
    if split.number >= 0:
        # Only a run on a broker needs its client, which not every installation has.
        yield from import_module("common.streams.kafka.reader").read_kafka(split, contract, latest_allowed)
        return
    path = Path(split.path)
    try:
        if path.stat().st_size:
            yield from _READERS[path.suffix](split, contract, latest_allowed)
    except OSError as error:
        raise AdstreamError(f"'{path}' can't be read ({reason_of(error)})", "check that the file is there") from error
