"""Putting streams on a broker: records that are made up while they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
from confluent_kafka import Producer

from common.contracts.contract import load
from common.streams.kafka.address import Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.sink import Deliveries, plain, send
from common.streams.kafka.wire import Part

TIMEOUT_SECONDS = 60.0


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
        producer, deliveries = open_producer(address), Deliveries()
        try:
            for batch in batches:
                for stream, records in batch.items():
                    left = limit - sent if limit else records.num_rows
                    for key, value in encoded(address, stream, records.slice(0, left)):
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


def open_producer(address: Address) -> Producer:
    """A producer that puts keys where Java's clients do."""
    settings = {"partitioner": "murmur2_random", "linger_ms": 5, "compression_type": "lz4"}
    return Producer(address.client(enable_idempotence=True, **settings))


def encoded(address: Address, stream: str, records: pa.Table) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Keys and values in the wire format of a stream's contract."""
    contract = load(stream)
    key, value = (Part(Schemas(address.registry), contract, name) for name in ("key", "value"))
    keys, values = (plain(records[name].combine_chunks()).to_pylist() for name in ("key", "value"))
    return zip(key.encode(keys), value.encode(values), strict=True)
