"""What flows where: clicks joined with what is known of their advertisements.

ad-clicks ──────┐                                   ┌─ enriched-clicks
                ├─ by advertisementId ─ enrichment ─┼─ unmatched-clicks
advertisements ─┘                                   └─ late-events
"""

from __future__ import annotations

from common.operators.lookup import AsDimension, AsFact, Lookup
from common.topology.nodes import KeyBy, Map, Merge, Process, Sink, Source, Topology
from jobs.enrichment.events import ADVERTISEMENTS, CLICKS, as_actions, as_advertisements, as_clicks
from jobs.enrichment.records import enriched_records, unmatched_records
from jobs.enrichment.settings import Settings
from jobs.sessions.records import LateRecords


def topology(settings: Settings) -> Topology:
    """The topology of `enrichment` under these settings."""
    # Advertisements have no time of their own, so a click is joined with what is known now.
    lookup = Lookup(CLICKS, ADVERTISEMENTS, "advertisementId", "latest", settings.wait, settings.grace)
    clicks = Map("facts", Map("clicks", Source("ad-clicks"), as_clicks), AsFact(lookup))
    rows = Map("rows", Map("descriptions", Source("advertisements"), as_advertisements), AsDimension(lookup))
    joined = Process("enrichment", KeyBy(Merge("both", (clicks, rows)), "advertisementId"), lookup)
    late = Map("late-actions", joined.output("late"), as_actions)
    return Topology(
        name="enrichment",
        sinks=(
            Sink("enriched-clicks", Map("enriched-records", joined.output("joined"), enriched_records)),
            Sink("unmatched-clicks", Map("unmatched-records", joined.output("unmatched"), unmatched_records)),
            Sink("late-events", Map("late-records", late, LateRecords(settings.grace))),
        ),
        balance=("joined", "unmatched", "facts_waiting", "late", "dimension_rows", "dead_letters"),
    )
