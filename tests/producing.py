"""A folder of streams put on a broker, as producers would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from common.contracts.contract import load
from common.operators.step import END
from common.streams.decode import read
from common.streams.folder import FolderSource, Position, Split
from common.streams.kafka.address import Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.producer import TIMEOUT_SECONDS, encoded, open_producer
from common.streams.kafka.sink import Deliveries, send

TICK_SECONDS = 0.02

Record = tuple[str, bytes | None, bytes | None]
"""Stream, key and value."""


def produce_folder(address: Address, root: Path, streams: tuple[str, ...], rate: float = 0.0) -> int:
    """Sends the records of a folder, one file of each stream after another; gives how many.

    Records that break their contract are sent too, as bytes that nobody can decode.

    Args:
        address: The broker.
        root: The folder of streams.
        streams: Which of them.
        rate: Records a second; 0 for as fast as it goes.

    Raises:
        AdstreamError: The broker does not serve it.
    """
    source, position, sent, started = FolderSource.open(root, streams), Position(), 0, time.monotonic()
    with told_plainly(address, "producing"):
        producer, deliveries = open_producer(address), Deliveries()
        while (arrivals := source.next_step(position)) is not None:
            position = arrivals.position
            for stream, key, value in _interleaved(address, arrivals.splits):
                send(producer, stream, key, value, deliveries)
                sent += 1
                ahead = sent / rate - (time.monotonic() - started) if rate else 0.0
                if ahead > TICK_SECONDS:
                    producer.poll(0)
                    time.sleep(ahead)
        producer.flush(TIMEOUT_SECONDS)
        deliveries.check()
    return sent


def _interleaved(address: Address, splits: tuple[Split, ...]) -> Iterator[Record]:
    """The records of a step's files: those of its streams in turn, as evenly as their numbers allow."""
    files = [list(_records(address, split)) for split in splits]
    places = [((row + 0.5) / len(file), number, row) for number, file in enumerate(files) for row in range(len(file))]
    return (files[number][row] for _, number, row in sorted(places))


def _records(address: Address, split: Split) -> Iterator[Record]:
    for decoded in read(split, load(split.stream), END):
        for key, value in encoded(address, split.stream, decoded.records):
            yield split.stream, key, value
        for letter in decoded.dead["value"].to_pylist():
            yield split.stream, None, letter["raw"]
