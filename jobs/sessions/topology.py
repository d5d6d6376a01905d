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

BALANCE = ("actions_out", "actions_open", "duplicates", "late", "dead_letters")
"""Each view or click is in a session that is out or open, or a copy, or late."""


def topology(settings: Settings) -> Topology:
    """The topology of `sessions` under these settings."""
    return Topology(name="sessions", sinks=session_sinks(settings), balance=BALANCE)


def session_sinks(settings: Settings) -> tuple[Sink, Sink]:
    """The sinks of sessions and of late events, with all that is upstream of them."""
    views = Map("views", Source("ad-views"), AsAction(VIEW))
    clicks = Map("clicks", Source("ad-clicks"), AsAction(CLICK))
    by_user = KeyBy(Merge("actions", (views, clicks)), "userId")
    sessions = Process("sessions", by_user, Sessions(settings.gap, settings.grace, settings.dedupe))
    return (
        Sink("ad-sessions", Map("session-records", sessions.output("sessions"), session_records)),
        Sink("late-events", Map("late-records", sessions.output("late"), LateRecords(settings.grace))),
    )
