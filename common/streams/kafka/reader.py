"""A range of a partition to records, with dead letters for what breaks the contract."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from confluent_kafka import Consumer, Message, TopicPartition

from common.contracts.contract import Contract
from common.errors import AdstreamError, ExitCode
from common.streams.conform import conform, plain_type
from common.streams.decoded import DeadLetter, Decoded, dead_letters
from common.streams.folder import Split
from common.streams.jsonl import decode_lines
from common.streams.kafka.address import GROUP, Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.wire import Part, UndecodableError, json_line

BATCH_RECORDS = 100_000
POLL_SECONDS = 1.0
FIRST_POLL_SECONDS = 0.2
PATIENCE_POLLS = 60
"""How many polls without a record a broker has before the read fails; a restart takes about ten."""


def read_kafka(split: Split, contract: Contract, latest_allowed: int) -> Iterator[Decoded]:
    """Reads a range of offsets; only committed records count.

    Args:
        split: A range of offsets of a partition.
        contract: The contract of the stream.
        latest_allowed: As `conform` takes it.

    Raises:
        AdstreamError: The broker or the registry does not answer (`UNAVAILABLE`), or denies it.
    """
    url = urlsplit(split.path)
    options = parse_qs(url.query)
    address = Address(url.netloc, options["registry"][0], options.get("user", [""])[0])
    topic, number = url.path.strip("/").split("/")
    parts = Part(address.registry, contract, "key"), Part(address.registry, contract, "value")
    for messages in _messages(address, TopicPartition(topic, int(number), split.start), split.stop):
        if contract.meta.encoding == "json":
            yield _decoded_json(messages, split, contract, latest_allowed)
        else:
            yield _decoded(messages, split, contract, parts, latest_allowed)


def _messages(address: Address, start: TopicPartition, stop: int) -> Iterator[list[Message]]:
    config = address.client(
        group_id=GROUP,
        enable_auto_commit=False,
        enable_partition_eof=False,
        auto_offset_reset="error",
        isolation_level="read_committed",
        fetch_wait_max_ms=50,
    )
    what = f"stream '{start.topic}': reading partition {start.partition}"
    with told_plainly(address, what):
        consumer = Consumer(config)
        try:
            consumer.assign([start])
            silent = 0
            # The last offsets may be a transaction's markers, which are no records: the place counts.
            while (left := stop - _place(consumer, start)) > 0:
                messages = consumer.consume(min(left, BATCH_RECORDS), POLL_SECONDS if silent else FIRST_POLL_SECONDS)
                silent = 0 if messages else silent + 1
                if silent > PATIENCE_POLLS:
                    raise AdstreamError(
                        f"{what}: the broker at {address.bootstrap} gives nothing at offset {_place(consumer, start)}",
                        "is it up? the job goes on from its checkpoint",
                        ExitCode.UNAVAILABLE,
                    )
                yield [message for message in messages if _good(message) and _offset(message) < stop]
        finally:
            consumer.close()


def _place(consumer: Consumer, start: TopicPartition) -> int:
    """The offset that is read next."""
    offset = consumer.position([start])[0].offset
    return int(offset) if offset >= 0 else int(start.offset)


def _good(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.retriable() or (not error.fatal() and error.code() < 0):
        return False  # librdkafka connects again by itself
    raise AdstreamError(f"stream '{message.topic()}': {error.str()}", "see the broker's log", ExitCode.UNAVAILABLE)


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
    conformed = conform(pa.table(columns, names=["key", "value"]), contract, latest_allowed)
    letters += [_letter(rows[row][0], reason) for row, reason in conformed.reasons().items()]
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
