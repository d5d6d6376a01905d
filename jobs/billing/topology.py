"""What flows where: sessions and engagements in one job, with no stream in between.

ad-views  ─┐                        ┌─ late-events
           ├─ by userId ─ sessions ─┼─ ad-sessions
ad-clicks ─┘                        └─ by session ─ bills ─ by advertisementId ─ totals ─┐
                                                                                         ├─ engagements ─ ad-engagements
advertisements ──────────────────────────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from common.topology.nodes import Sink, Source, Topology
from jobs.billing.settings import Settings
from jobs.engagements.topology import ADVERTISEMENTS_BALANCE, engagements
from jobs.sessions.topology import BALANCE, session_sinks


def topology(settings: Settings) -> Topology:
    """The topology of `billing` under these settings."""
    sessions, late = session_sinks(settings)
    joined = engagements(sessions.upstream, Source("advertisements"), settings.attribution)
    return Topology(
        name="billing",
        sinks=(sessions, late, Sink("ad-engagements", joined)),
        balance=(*BALANCE, *ADVERTISEMENTS_BALANCE),
        owner="billing",
    )
