"""What flows where: the tables of the catalogue, joined by their foreign keys, into one public stream.

customer-rows ───────────────────────┐
                                     ├─ sponsored ─┐
campaign-rows ─── by customerId ─────┘             ├─ promoted ─ promotions   upserts and tombstones
advertisement-rows ─── by campaignId ──────────────┘
"""

from __future__ import annotations

from common.topology.foreign_key import foreign_key
from common.topology.nodes import Map, Sink, Source, Topology
from jobs.eventification.rows import (
    AsRows,
    campaigns_as_targets,
    customers_as_targets,
    promotion,
    promotion_records,
    sponsorship,
)
from jobs.eventification.settings import Settings

BALANCE = tuple(
    f"{table}_{what}" for table in ("advertisements", "campaigns", "customers") for what in ("changed", "unchanged")
)
"""Each row that came changed what is known of it, or did not."""


def topology(settings: Settings) -> Topology:
    """The topology of `eventification` under these settings."""
    sponsored, promoted = sponsorship(settings.join), promotion(settings.join)
    campaigns = foreign_key(
        "sponsored",
        sponsored,
        rows=Map("campaign-entities", Source("campaign-rows"), AsRows(sponsored)),
        targets=Map("customer-entities", Source("customer-rows"), customers_as_targets),
    )
    promotions = foreign_key(
        "promoted",
        promoted,
        rows=Map("advertisement-entities", Source("advertisement-rows"), AsRows(promoted)),
        targets=Map("sponsored-campaigns", campaigns, campaigns_as_targets),
    )
    return Topology(
        name="eventification",
        sinks=(Sink("promotions", Map("promotion-records", promotions, promotion_records)),),
        balance=(*BALANCE, "dead_letters"),
    )
