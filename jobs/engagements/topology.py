"""What flows where: sessions into conversions per advertisement, beside what is known of the advertisement.

ad-sessions ─── by session ─ bills ─ by advertisementId ─ totals ─┐
                                                                  ├─ by advertisementId ─ engagements ─ ad-engagements
advertisements ───────────────────────────────────────────────────┘
"""

from __future__ import annotations

from common.topology.nodes import KeyBy, Map, Merge, Node, Process, Sink, Source, Topology
from jobs.engagements.conversions import Attribution
from jobs.engagements.events import (
    ADVERTISEMENT,
    ENGAGEMENTS,
    SESSION,
    TOTALS,
    AsContributions,
    advertisements_as_right,
    bills,
    totals_as_left,
)
from jobs.engagements.records import engagement_records
from jobs.engagements.settings import Settings

ADVERTISEMENTS_BALANCE = ("advertisements_changed", "advertisements_unchanged")
"""Each advertisement that came changed what is known of it, or did not."""
BALANCE = ("contributions_changed", "contributions_unchanged", *ADVERTISEMENTS_BALANCE, "dead_letters")
"""Each session that came changed what it contributes, or did not."""


def topology(settings: Settings) -> Topology:
    """The topology of `engagements` under these settings."""
    joined = engagements(Source("ad-sessions"), Source("advertisements"), settings.attribution)
    return Topology(name="engagements", sinks=(Sink("ad-engagements", joined),), balance=BALANCE)


def engagements(sessions: Node, advertisements: Node, attribution: Attribution) -> Node:
    """The nodes from sessions and advertisements to records of `ad-engagements`.

    Args:
        sessions: Records of `ad-sessions`, read or made in the same job.
        advertisements: Records of `advertisements`.
        attribution: Which views a click converts.
    """
    contributions = Map("contributions", sessions, AsContributions(attribution))
    billed = Process("bills", KeyBy(contributions, SESSION), bills(attribution))
    totals = Process("totals", KeyBy(billed.output("deltas"), ADVERTISEMENT.name), TOTALS)
    sides = Merge(
        "sides",
        (
            Map("sums", totals.output("totals"), totals_as_left),
            Map("descriptions", advertisements, advertisements_as_right),
        ),
    )
    joined = Process("engagements", KeyBy(sides, ADVERTISEMENT.name), ENGAGEMENTS)
    return Map("engagement-records", joined.output("joined"), engagement_records)
