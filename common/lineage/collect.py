"""The graph of this suite: its contracts, the topologies of its jobs, and the files that free tables into streams.

Jobs that a config shapes are drawn by it: `routing` by its rules, `adstream liberate` by its tables, and a connector of
Kafka Connect by its own configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from common.config.jobs import jobs, topology_of
from common.config.layers import Layers, settings
from common.contracts.contract import load, streams
from common.databases.liberation import Liberation, liberated
from common.databases.liberation import job_of as liberation_name
from common.databases.liberation import load as load_liberation
from common.databases.outbox import JOB as OUTBOX
from common.lineage.graph import Job, Lineage, Stream
from common.names import pick
from common.streams.decoded import DEAD_LETTERS
from common.topology.graph import sinks, sources
from common.topology.graph import tables as kept
from common.topology.nodes import Topology

CONNECTOR = "connector.json"
"""The configuration of a connector, in the folder of the job that reads what it writes."""


def collect(config: Path | None = None, tables: Path | None = None) -> Lineage:
    """The graph of all jobs and streams.

    Args:
        config: The settings of jobs, a section a job; the defaults if None.
        tables: What is freed from databases; the suite's own file if None.

    Raises:
        AdstreamError: A file is not well formed, or names a stream that has no contract.
    """
    found = (
        *_connectors(),
        *(liberation_job(stream, load_liberation(stream, tables)) for stream in liberated(tables)),
        _outbox(),
        *(job_of(topology_of(name, settings(name, Layers(config)))) for name in jobs()),
    )
    return Lineage(tuple(map(_stream, streams())), found)


def job_of(topology: Topology) -> Job:
    """A topology as a job of the graph.

    A job that keeps tables writes no stream, not even of dead letters.

    Raises:
        AdstreamError: It names a stream that has no contract.
    """
    writes = tuple(stream for stream in sinks(topology) if stream != topology.dead_letters)
    for stream in (*sources(topology), *sinks(topology)):
        pick("stream", stream, streams(), f"topology '{topology.name}'")
    return Job(
        name=topology.name,
        kind="topology",
        owner=topology.owner or load(topology.sinks[0].stream).meta.owner,
        reads=sources(topology),
        writes=writes,
        keeps=tuple(stream for stream in kept(topology) if stream != topology.dead_letters),
        dead_letters="" if kept(topology) else topology.dead_letters,  # among tables they are a table, too
    )


def _stream(name: str) -> Stream:
    contract = load(name)
    meta = contract.meta
    return Stream(
        name=name,
        owner=meta.owner,
        version=contract.version,
        kind=meta.kind,
        pii=meta.tags.pii,
        financial=meta.tags.financial,
        consumers=meta.consumers,
        deprecated=meta.deprecated,
    )


def liberation_job(stream: str, liberation: Liberation) -> Job:
    """What frees rows of a database into a stream, as a job of the graph.

    Raises:
        AdstreamError: The stream has no contract.
    """
    pick("stream", stream, streams(), "what is freed from databases")
    return Job(
        name=liberation_name(stream),
        kind="liberation",
        owner=load(stream).meta.owner,
        writes=(stream,),
        tables=(liberation.table or f"query of {stream}",),
        dead_letters=DEAD_LETTERS,
    )


def _outbox() -> Job:
    """Which streams it writes, the applications say that write into the outbox."""
    return Job(OUTBOX, "outbox", load(DEAD_LETTERS).meta.owner, dead_letters=DEAD_LETTERS, any_stream=True)


def _connectors() -> Iterator[Job]:
    for folder in sorted(files("jobs").iterdir(), key=lambda entry: entry.name):
        file = folder.joinpath(CONNECTOR)
        if not file.is_file():
            continue
        config: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        written = connected(config)
        for stream in written.values():
            pick("stream", stream, streams(), f"jobs/{folder.name}/{CONNECTOR}")
        owner = load(next(iter(written.values()))).meta.owner
        tables = tuple(table.removeprefix("public.") for table in written)
        yield Job(f"connector-{folder.name}", "connector", owner, writes=tuple(written.values()), tables=tables)


def connected(config: Mapping[str, Any]) -> dict[str, str]:
    """The stream that each table's changes go to, by Debezium's configuration.

    A table `public.advertisement` goes to the topic `PREFIX.public.advertisement`, unless a `RegexRouter` renames that
    (Debezium, "Topic names"; Kafka Connect, "RegexRouter").

    Args:
        config: The connector's configuration.
    """
    tables = [table.strip() for table in config.get("table.include.list", "").split(",") if table.strip()]
    return {table: _routed(f"{config['topic.prefix']}.{table}", config) for table in tables}


def _routed(topic: str, config: Mapping[str, Any]) -> str:
    for name in filter(None, map(str.strip, config.get("transforms", "").split(","))):
        if str(config.get(f"transforms.{name}.type", "")).endswith("RegexRouter"):
            regex, replacement = (config[f"transforms.{name}.{part}"] for part in ("regex", "replacement"))
            match = re.fullmatch(regex, topic)
            topic = match.expand(re.sub(r"\$(\d+)", r"\\\1", replacement)) if match else topic
    return topic
