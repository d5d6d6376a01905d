"""What flows where: ad views and clicks into sessions.

ad-views  ─┐
           ├─ by userId ─ sessions ─┬─ ad-sessions   upserts and tombstones
ad-clicks ─┘                        └─ late-events
"""

from __future__ import annotations

from common.operators.sessions import Sessions
from common.topology.nodes import KeyBy, Map, Merge, Process, Sink, Source, Topology
from jobs.sessions.events import CLICK, VIEW, AsAction
from jobs.sessions.records import LateRecords, session_records
from jobs.sessions.settings import Settings


def topology(settings: Settings) -> Topology:
    """The topology of `sessions` under these settings."""
    views = Map("views", Source("ad-views"), AsAction(VIEW))
    clicks = Map("clicks", Source("ad-clicks"), AsAction(CLICK))
    by_user = KeyBy(Merge("actions", (views, clicks)), "userId")
    sessions = Process("sessions", by_user, Sessions(settings.gap, settings.grace, settings.dedupe))
    return Topology(
        name="sessions",
        sinks=(
            Sink("ad-sessions", Map("session-records", sessions.output("sessions"), session_records)),
            Sink("late-events", Map("late-records", sessions.output("late"), LateRecords(settings.grace))),
        ),
        balance=("actions_out", "actions_open", "duplicates", "late", "dead_letters"),
    )
