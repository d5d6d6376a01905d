"""A job run again over what its input still holds, into streams of its own beside the live ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.contracts.contract import OPERATIONS, load
from common.errors import AdstreamError
from common.operators.step import END
from common.runtime.checkpoint import Checkpoint
from common.runtime.spec import SPEC, JobSpec
from common.streams.kafka import topics
from common.streams.kafka.address import Address
from common.streams.kafka.reader import read_kafka
from common.streams.kafka.source import KafkaSource
from common.streams.materialise import settled
from common.streams.source import BROKER

REPLAYS = "_reprocess"
"""The folder below a job's output in which its replays have their outputs."""


def replay_of(live: JobSpec, into: str, start: str, changed: Mapping[str, Any]) -> JobSpec:
    """The run that takes what a job has taken once more, up to where the job is.

    Args:
        live: The job's last run.
        into: The name of the new stream.
        start: Where it begins, as `Address.start`.
        changed: Attributes of the spec that differ, such as its engine and settings.

    Raises:
        AdstreamError: The job does not go from a broker to a broker, or has no checkpoint.
    """
    if not live.input.startswith(BROKER) or not live.sink:
        raise AdstreamError(
            f"job '{live.job}' does not go from a broker to a broker",
            "where its streams are folders, run it again into another --output, and compare the two",
        )
    output = Path(live.output, REPLAYS, into)
    known = JobSpec.load(output / SPEC) if (output / SPEC).exists() else None
    began = known.input if known else replace(Address.parse(live.input), start=start).url()
    return replace(
        live,
        **changed,
        input=began,
        output=str(output),
        checkpoint=str(output / "_checkpoint"),
        until_caught_up=True,
        drain=False,
        metrics="",
        into=into,
        until=taken(live),
    )


def taken(spec: JobSpec) -> dict[str, int]:
    """Up to which offset a job has taken each partition.

    Raises:
        AdstreamError: It has no checkpoint.
    """
    manifest = Checkpoint(spec.checkpoint).load()
    if manifest is None:
        raise AdstreamError(f"job '{spec.job}' has no checkpoint at {spec.checkpoint}", "run it with --mode stream")
    return dict(manifest.position.counts)


def start_of(text: str) -> str:
    """Where a replay begins, as `Address.start`: from `beginning`, a time in epoch ms, or one as `2026-01-31T12:00`.

    Raises:
        AdstreamError: It is none of these.
    """
    if text == "beginning":
        return "earliest"
    if text.isdecimal():
        return text
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise AdstreamError(f"--from is '{text}'", "give beginning, epoch ms, or a time as 2026-01-31T12:00") from None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return str(int(zoned.timestamp() * 1000))


def make_topics(spec: JobSpec) -> list[str]:
    """Makes the topics of a replay, each as the contract of its stream wants it; gives those that are new.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    wanted = [replace(topics.topic_of(load(stream)), name=name) for stream, name in spec.topics(spec.plan()).items()]
    return topics.create(Address.parse(spec.sink), [*wanted, *topics.internal_topics(spec.identity)])


def answers(spec: JobSpec) -> Iterator[tuple[str, pa.Table]]:
    """What the answers of a job's run leave on its broker, by the names of their topics.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or a record breaks its contract.
    """
    address = Address.parse(spec.sink)
    for stream, name in spec.topics(spec.plan()).items():
        contract = load(stream)
        if contract.meta.namespace == OPERATIONS:
            continue
        source = KafkaSource.at(address, (name,))
        splits = source.everything(0)
        decoded = (part for split in splits for part in read_kafka(split, contract, END))
        yield name, settled((part.records for part in decoded), contract)
