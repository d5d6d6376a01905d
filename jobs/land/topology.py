"""What flows where: each stream into the table of its name.

ad-views       ─ by key ─ land ─ table ad-views         a row a record
advertisements ─ by key ─ land ─ table advertisements   a row a key: upserts and deletions
"""

from __future__ import annotations

from common.contracts.contract import load, streams
from common.names import pick
from common.operators.landing import KEY_TEXT, Keyed, Land
from common.topology.nodes import KeyBy, Map, Process, Source, TableSink, Topology
from jobs.land.settings import Settings


def topology(settings: Settings) -> Topology:
    """The topology of `land` under these settings.

    Raises:
        AdstreamError: There is no such stream.
    """
    return Topology(
        name="land",
        sinks=tuple(_table(stream, settings.partitions.get(stream, "")) for stream in settings.streams),
        balance=("landed", "superseded", "dead_letters"),
        owner="streaming-platform",
    )


def _table(stream: str, partition: str) -> TableSink:
    contract = load(pick("stream", stream, streams(), "land.streams"))
    keyed = KeyBy(Map(f"{stream}-keyed", Source(stream), Keyed(contract)), KEY_TEXT)
    return TableSink(stream, Process(f"land-{stream}", keyed, Land(contract)).output("records"), partition)
