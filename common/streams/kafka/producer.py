"""Putting streams on a broker: what stands in a folder, or what is made up while it is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
from confluent_kafka import Producer

from common.contracts.contract import load
from common.operators.step import END
from common.streams.decode import read
from common.streams.folder import FolderSource, Position, Split
from common.streams.kafka.address import Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.sink import Deliveries, plain, send
from common.streams.kafka.wire import Part

TICK_SECONDS = 0.02
TIMEOUT_SECONDS = 60.0


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
        producer, deliveries = _producer(address), Deliveries()
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


def produce_batches(
    address: Address, batches: Iterable[Mapping[str, pa.Table]], told: Callable[[int], None], limit: int = 0
) -> int:
    """Sends records as they come; gives how many. ^C ends it: what was taken from `batches` is then on the broker.

    Args:
        address: The broker.
        batches: Records of their contracts, by stream; each batch is sent at once.
        told: Called after each batch, with how many records were sent.
        limit: After how many records it ends; 0 for never.

    Raises:
        AdstreamError: The broker does not serve it, or a record breaks its contract.
    """
    sent = 0
    with told_plainly(address, "producing"):
        producer, deliveries = _producer(address), Deliveries()
        try:
            for batch in batches:
                for stream, records in batch.items():
                    left = limit - sent if limit else records.num_rows
                    for key, value in _encoded(address, stream, records.slice(0, left)):
                        send(producer, stream, key, value, deliveries)
                        sent += 1
                producer.poll(0)
                deliveries.check()
                told(sent)
                if limit and sent >= limit:
                    break
        except KeyboardInterrupt:
            pass  # how one ends what has no end
        producer.flush(TIMEOUT_SECONDS)
        deliveries.check()
    return sent


Record = tuple[str, bytes | None, bytes | None]
"""Stream, key and value."""


def _producer(address: Address) -> Producer:
    settings = {"partitioner": "murmur2_random", "linger_ms": 5, "compression_type": "lz4"}
    return Producer(address.client(enable_idempotence=True, **settings))


def _interleaved(address: Address, splits: tuple[Split, ...]) -> Iterator[Record]:
    """The records of a step's files: those of its streams in turn, as evenly as their numbers allow."""
    files = [list(_records(address, split)) for split in splits]
    places = [((row + 0.5) / len(file), number, row) for number, file in enumerate(files) for row in range(len(file))]
    return (files[number][row] for _, number, row in sorted(places))


def _records(address: Address, split: Split) -> Iterator[Record]:
    for decoded in read(split, load(split.stream), END):
        for key, value in _encoded(address, split.stream, decoded.records):
            yield split.stream, key, value
        for letter in decoded.dead["value"].to_pylist():
            yield split.stream, None, letter["raw"]


def _encoded(address: Address, stream: str, records: pa.Table) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Keys and values in the wire format of a stream's contract."""
    contract = load(stream)
    key, value = (Part(Schemas(address.registry), contract, name) for name in ("key", "value"))
    keys, values = (plain(records[name].combine_chunks()).to_pylist() for name in ("key", "value"))
    return zip(key.encode(keys), value.encode(values), strict=True)
