"""What flows where: the changes of a table, as its database logs them, into the public stream of its rows.

advertisement-changes ─ by key ─ replica ─ advertisements   upserts and tombstones
"""

from __future__ import annotations

from common.operators.replica import Replica
from common.topology.nodes import KeyBy, Map, Process, Sink, Source, Topology
from jobs.publish.changes import PRIVATE, PUBLIC, ROW, AsChange, advertisement_records
from jobs.publish.settings import Settings


def topology(settings: Settings) -> Topology:
    """The topology of `publish` under these settings."""
    changes = Map("changes", Source(PRIVATE), AsChange(settings.buckets))
    replica = Process("replica", KeyBy(changes, "key"), Replica(ROW))
    return Topology(
        name="publish",
        sinks=(Sink(PUBLIC, Map("advertisement-records", replica.output("table"), advertisement_records)),),
        balance=("changes", "stale", "truncations", "marks", "dead_letters"),
    )
