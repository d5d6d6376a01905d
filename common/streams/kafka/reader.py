"""A range of a partition to records, with dead letters for what breaks the contract."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from common.contracts.contract import Contract
from common.errors import AdstreamError, UnavailableError
from common.retry import OUTAGE_SECONDS
from common.streams.conform import conform, plain_type
from common.streams.decoded import DeadLetter, Decoded, dead_letters
from common.streams.folder import Split
from common.streams.json_text import json_lines
from common.streams.jsonl import decode_lines
from common.streams.kafka.address import Address, PartitionPath
from common.streams.kafka.consumer import Consumers, next_offset
from common.streams.kafka.errors import ACCEPT, DENIED, told_plainly
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.wire import Part, UndecodableError, json_line

BATCH_RECORDS = 100_000
POLL_SECONDS = 0.2
RENEW_SECONDS = 3.0
"""How long a consumer may be silent about records that are there, before another one asks for them."""
CONSUMERS = Consumers()
"""Of this process; a step reads every partition, each by itself."""


def read_kafka(split: Split, contract: Contract, latest_allowed: int) -> Iterator[Decoded]:
    """Reads a range of offsets; only committed records count. A broker that is restarted meanwhile is waited for.

    Args:
        split: A range of offsets of a partition.
        contract: The contract of the stream.
        latest_allowed: As `conform` takes it.

    Raises:
        AdstreamError: The broker or the registry does not answer (`UNAVAILABLE`) or denies it, or has dropped records.
    """
    path = PartitionPath.parse(split.path)
    schemas = Schemas(path.address.registry, path.schemas, OUTAGE_SECONDS)
    parts = Part(schemas, contract, "key"), Part(schemas, contract, "value")
    for messages in _messages(path.address, TopicPartition(path.topic, path.number, split.start), split.stop):
        if contract.meta.encoding == "json":
            yield _decoded_json(messages, split, contract, latest_allowed)
        else:
            yield _decoded(messages, split, contract, parts, latest_allowed)


def _messages(address: Address, start: TopicPartition, stop: int) -> Iterator[list[Message]]:
    what = f"stream '{start.topic}': reading partition {start.partition}"
    settings = {"enable_partition_eof": False, "auto_offset_reset": "error", "fetch_wait_max_ms": 50}
    with told_plainly(address, what, start.topic), CONSUMERS.lent(address, **settings) as lent:
        lent.consumer.assign([start])
        place, reason, heard = int(start.offset), "it gives nothing", time.monotonic()
        renewed = heard
        # The last offsets may be a transaction's markers, which are no records: the place counts.
        while place < stop:
            taken = lent.consumer.consume(min(stop - place, BATCH_RECORDS), POLL_SECONDS)
            yield [message for message in taken if message.error() is None and _offset(message) < stop]
            before, place = place, next_offset(lent.consumer, start)
            if place > before:
                heard = renewed = time.monotonic()
                continue
            reason = _fault(taken, what, place) or reason
            if time.monotonic() - heard > OUTAGE_SECONDS:
                raise UnavailableError(
                    f"{what}: the broker at {address.bootstrap} does not serve offset {place} ({reason})",
                    "is it up? the job goes on from its checkpoint",
                )
            if time.monotonic() - renewed > RENEW_SECONDS:
                lent.renew()
                start = TopicPartition(start.topic, start.partition, place)
                lent.consumer.assign([start])
                renewed = time.monotonic()


def _fault(taken: list[Message], what: str, place: int) -> str | None:
    """What a consumer was told in the place of records; it connects again by itself.

    Raises:
        AdstreamError: Waiting does not help: the records are gone.
        KafkaException: Waiting does not help: it is denied.
    """
    faults = [message.error() for message in taken if message.error() is not None]
    for fault in faults:
        if fault.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 librdkafka's own codes begin so
            raise AdstreamError(f"{what}: the record at offset {place} has expired unread", ACCEPT)
        if fault.code() in DENIED or fault.fatal():
            raise KafkaException(fault)
    return str(faults[-1].str()) if faults else None


def _decoded(
    messages: list[Message], split: Split, contract: Contract, parts: tuple[Part, Part], latest_allowed: int
) -> Decoded:
    rows: list[tuple[Message, object, object]] = []
    letters: list[DeadLetter] = []
    for message in messages:
        try:
            rows.append((message, parts[0].decode(message.key()), parts[1].decode(message.value())))
        except UndecodableError as error:
            letters.append(_letter(message, str(error)))
    plain = [plain_type(part.type, pa.binary()) for part in contract.arrow]
    columns = [pa.array([row[1] for row in rows], plain[0]), pa.array([row[2] for row in rows], plain[1])]
    table = pa.table(columns, names=["key", "value"])
    conformed = conform(table, contract, latest_allowed)
    reasons = conformed.reasons()
    # As JSON, so that the key is there too, and that it can be corrected by hand.
    raws = json_lines(table.take(pa.array(list(reasons), pa.int64()))).cast(pa.binary()).to_pylist()
    for (row, reason), raw in zip(reasons.items(), raws, strict=True):
        letters.append(DeadLetter(_offset(rows[row][0]), raw, reason))
    records = conformed.table.filter(pa.array(~conformed.bad)) if conformed.violations else conformed.table
    return Decoded(records, dead_letters(split, letters))


def _decoded_json(messages: list[Message], split: Split, contract: Contract, latest_allowed: int) -> Decoded:
    rows: list[tuple[Message, bytes]] = []
    letters: list[DeadLetter] = []
    for message in messages:
        try:
            rows.append((message, json_line(message.key(), message.value())))
        except UndecodableError as error:
            letters.append(_letter(message, str(error)))
    records, bad = decode_lines(b"".join(line for _, line in rows), contract, latest_allowed)
    letters += [_letter(rows[row][0], reason) for row, _, reason in bad]
    return Decoded(records, dead_letters(split, letters))


def _offset(message: Message) -> int:
    return message.offset() or 0


def _letter(message: Message, reason: str) -> DeadLetter:
    """A dead letter; the raw bytes are the value's, or the key's where there is no value."""
    return DeadLetter(_offset(message), message.value() or message.key() or b"", reason)
