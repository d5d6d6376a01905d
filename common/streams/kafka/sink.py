"""Topics as the output of a job: each step is one transaction, which also says that the step is done.

The marker of a job is the last record of the compacted topic `<job>-epochs`: the number of the last step
that was delivered. It is committed together with the step's records, so a step that is taken again after a
crash is found delivered, and skipped. The transactional id is the job's: a second copy of a job is fenced.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.retry import OUTAGE_SECONDS
from common.streams.columns import relisted, timestamps_to_ms
from common.streams.encode import open_encoder
from common.streams.kafka.address import Address
from common.streams.kafka.consumer import committed_records, next_offset
from common.streams.kafka.errors import taken_over, told_plainly
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.wire import Part as WirePart
from common.streams.staging import Part, PartWriter, drop_staged, staged_records, transacted

TIMEOUT_SECONDS = 60.0
TRANSACTION_SECONDS = 180.0
"""When the broker ends an open transaction by itself: later than an attempt has waited for a broker's restart."""
QUEUED_RECORDS = 100_000
"""How many records wait for the broker at most."""

log = logging.getLogger("adstream")


def marker_topic(job: str) -> str:
    """The internal stream that holds the number of a job's last delivered step."""
    return f"{job}-epochs"


def open_kafka_sink(
    url: str,
    job: str,
    root: str,
    contracts: Mapping[str, Contract],
    schemas: str = "",
    topics: Mapping[str, str] | None = None,
) -> KafkaSink:
    """The sink of a job on a broker.

    Args:
        url: The address of the broker.
        job: The name of the job.
        root: The local folder in which parts wait for their step to be delivered.
        contracts: The contract of every stream that the job writes.
        schemas: The folder in which their schemas are kept; empty for nowhere.
        topics: The topic of each stream, where it has another name.

    Raises:
        AdstreamError: It is not the address of a broker.
    """
    return KafkaSink(Address.parse(url), job, root, dict(contracts), schemas, dict(topics or {}))


def transactional_id(job: str) -> str:
    """The identity of a job towards the broker; a run that takes it on fences the one before."""
    return f"adstream-{job}"


@dataclass(frozen=True)
class KafkaSink:
    """The output streams of a job on a broker. It can be pickled.

    Attributes:
        address: The broker.
        job: The job, whose marker is kept.
        root: The local folder in which parts wait for their step to be delivered.
        contracts: The contract of every stream.
        schemas: The folder in which their schemas are kept; empty for nowhere.
        topics: The topic of each stream, where it has another name.
    """

    address: Address
    job: str
    root: str
    contracts: Mapping[str, Contract]
    schemas: str = ""
    topics: Mapping[str, str] = field(default_factory=dict)

    def writer(self, step: str, part: str) -> PartWriter:
        """As `Sink.writer`."""
        return PartWriter(Path(self.root), step, part, ".parquet", self.contracts, open_encoder)

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """As `Sink.deliver`; a step that the marker covers is skipped. A broker that is restarted is waited for.

        Raises:
            AdstreamError: The broker does not come back (`UNAVAILABLE`), does not take it, or another run of the job
                has taken over.
        """
        transacted(step, parts, self.contracts, partial(self._transact, int(step)))

    def recover(self, step: str) -> None:
        """As `Sink.recover`; what is on the broker stays, the marker tells which steps those are.

        It fences the run before: none of its steps can be delivered once the marker is read here.
        """
        drop_staged(Path(self.root))
        with told_plainly(self.address, f"job '{self.job}': taking over its output"):
            _session(self).delivered = self.delivered()

    def clear(self) -> None:
        """Refuses: what a broker has is not taken back.

        Raises:
            AdstreamError: Always.
        """
        raise AdstreamError(
            "a run in batch mode replaces its output, and a broker keeps what it has",
            "add --mode stream --drain, or write to a folder",
        )

    def delivered(self) -> int:
        """The number of the last step that was delivered; -1 before the first."""
        return self._marker().step

    def _marker(self) -> _Marker:
        """The marker as it stands on the broker."""
        topic = marker_topic(self.job)
        with (
            told_plainly(self.address, f"stream '{topic}': reading the marker", topic),
            committed_records(self.address, auto_offset_reset="earliest") as consumer,
        ):
            start = TopicPartition(topic, 0, 0)
            _, end = consumer.get_watermark_offsets(start, timeout=TIMEOUT_SECONDS)
            consumer.assign([start])
            last, deadline = _Marker(), time.monotonic() + TIMEOUT_SECONDS
            while next_offset(consumer, start) < end:
                for message in consumer.consume(1000, 0.5):
                    value = message.value()
                    if message.error() is None and value:
                        last = _Marker(**json.loads(value))
                if time.monotonic() > deadline:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 librdkafka's own code
            return last

    def _transact(self, step: int, staged: Mapping[str, list[Path]]) -> None:
        """Delivers a step, unless the marker says that it was: a commit that seemed to fail may have happened."""
        deliveries = Deliveries()
        with told_plainly(self.address, f"job '{self.job}': delivering step {step}"):
            session = _session(self)
            if session.delivered >= step:
                return
            try:
                session.producer.begin_transaction()
                self._produce(session, step, staged, deliveries)
                session.producer.commit_transaction(TIMEOUT_SECONDS)
            except BaseException as error:
                # Whoever comes next, here or elsewhere, ends what was left open.
                session.lost = True
                if isinstance(error, KafkaException):
                    raise KafkaException(_cause(session.producer, error.args[0], deliveries.error)) from error
                raise
            session.delivered = step

    def _produce(self, session: _Session, step: int, staged: Mapping[str, list[Path]], deliveries: Deliveries) -> None:
        producer = session.producer
        for stream, paths in staged.items():
            for path in paths:
                for key, value in self._records(stream, path):
                    send(producer, self.topics.get(stream, stream), key, value, deliveries)
        marker = json.dumps(asdict(_Marker(step, session.run))).encode()
        send(producer, marker_topic(self.job), self.job.encode(), marker, deliveries)
        producer.flush(TIMEOUT_SECONDS)
        deliveries.check()

    def _records(self, stream: str, path: Path) -> Iterator[tuple[bytes | None, bytes | None]]:
        """The keys and values of a part."""
        contract = self.contracts[stream]
        schemas = Schemas(self.address.registry, self.schemas, OUTAGE_SECONDS)
        key, value = (WirePart(schemas, contract, name) for name in ("key", "value"))
        for rows in staged_records([path]):
            keys, values = (plain(rows[name].combine_chunks()).to_pylist() for name in ("key", "value"))
            yield from zip(key.encode(keys), value.encode(values), strict=True)


class Deliveries:
    """What became of records that were sent: the first error, if there was one."""

    def __init__(self) -> None:
        self.error: KafkaError | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Called by the producer for each record that was taken or given up."""
        self.error = self.error or error

    def check(self) -> None:
        """Raises:
        KafkaException: A record was given up.
        """
        if self.error is not None:
            raise KafkaException(self.error)


def send(producer: Producer, topic: str, key: bytes | None, value: bytes | None, deliveries: Deliveries) -> None:
    """Hands a record to a producer; waits while too many are on their way.

    Its timestamp is the moment it is sent: retention counts from there. The event time is in the value.
    """
    while len(producer) >= QUEUED_RECORDS:
        producer.poll(0.1)
    producer.produce(topic, value=value, key=key, on_delivery=deliveries)


def plain(array: pa.Array) -> pa.Array:
    """The array with timestamps as epoch ms, as the wire format has them."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        return timestamps_to_ms(array)
    if pa.types.is_struct(kind):
        children = [plain(array.field(i)) for i in range(kind.num_fields)]
        names = [field.name for field in kind]
        return pa.StructArray.from_arrays(children, names=names, mask=array.is_null() if array.null_count else None)
    if pa.types.is_list(kind):
        return relisted(array, plain(array.flatten()))
    return array


def _cause(producer: Producer, fault: KafkaError, record: KafkaError | None) -> KafkaError:
    """Why a transaction failed.

    Args:
        producer: Its producer.
        fault: What it raised: often only that some record was not taken, or that the producer is done for.
        record: Why the first such record was not taken.
    """
    told = fault if fault.fatal() or record is None else record
    if told.code() != KafkaError._FATAL:  # noqa: SLF001 librdkafka's own codes begin so
        return told
    try:
        producer.abort_transaction(1.0)  # it only tells why nothing works any more
    except KafkaException as error:
        return error.args[0]
    return told


@dataclass(frozen=True)
class _Marker:
    """What the marker says.

    Attributes:
        step: The last step that was delivered; -1 before the first.
        run: The session that delivered it.
    """

    step: int = -1
    run: str = ""


@dataclass
class _Session:
    """This process's hold on a job's output.

    Attributes:
        producer: Its producer.
        delivered: The last step that was delivered, as far as it knows.
        run: What tells this process's markers from those of others.
        lost: Whether the producer can't be used any more.
    """

    producer: Producer
    delivered: int
    run: str
    lost: bool = False


_sessions: dict[tuple[Address, str], _Session] = {}
"""By broker and job. A sink is pickled into tasks, so the connection can't be its own."""


def _session(sink: KafkaSink) -> _Session:
    """The open session of a sink's job; a new one fences whoever wrote for the job before.

    Raises:
        AdstreamError: Another run has delivered a step since this process lost its session.
        KafkaException: The broker does not serve it.
    """
    who = (sink.address, sink.job)
    before = _sessions.get(who)
    if before is not None and not before.lost:
        return before
    run = before.run if before else uuid4().hex
    if before is not None:
        # Asked before anything is fenced: of two copies of a job, one must live.
        _check_alone(sink, before, sink._marker())  # noqa: SLF001 this is the sink's other half
    config: dict[str, Any] = sink.address.client(
        transactional_id=transactional_id(sink.job),
        transaction_timeout_ms=int(TRANSACTION_SECONDS * 1000),
        partitioner="murmur2_random",  # as Java's clients, so that streams with equal keys are copartitioned
        linger_ms=5,
        compression_type="lz4",
        queue_buffering_max_messages=2 * QUEUED_RECORDS,
    )
    producer = Producer(config)
    # Before the marker is read: it ends the transaction that a run which was killed has left open.
    producer.init_transactions(TIMEOUT_SECONDS)
    marker = sink._marker()  # noqa: SLF001
    if before is not None:
        _check_alone(sink, before, marker)
    _sessions[who] = _Session(producer, marker.step, run)
    log.info("the output of job '%s' is this run's alone, from step %d on", sink.job, marker.step + 1)
    return _sessions[who]


def _check_alone(sink: KafkaSink, before: _Session, marker: _Marker) -> None:
    if marker.step > before.delivered and marker.run != before.run:
        raise taken_over(f"job '{sink.job}': delivering its output")
