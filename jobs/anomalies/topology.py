"""What flows where: ad views and clicks into behaviour that is not a person's.

ad-clicks ─── by userId ─ click windows ────────────────────── over the limit ─┐
ad-clicks ─┬─ by userId ─ sessions ─┬─ too long, without a pause ──────────────┼─ ad-anomalies   upserts and tombstones
           │                        └─ late-events                             │
ad-views ──┴─ by advertisementId ─ windows ─ against those before ─────────────┘

Late events are told by the sessions: they take all events that the windows take, and lateness is the same for all.
"""

from __future__ import annotations

from common.operators.baseline import Baseline
from common.operators.late import LateToldBeside
from common.operators.session_rules import SessionRules
from common.operators.sessions import Sessions
from common.operators.windows import Windows
from common.topology.nodes import KeyBy, Map, Merge, Output, Process, Sink, Source, Topology
from jobs.anomalies.records import STREAM, anomaly_records
from jobs.anomalies.rules import CLICK_THROUGH, ClickRate
from jobs.anomalies.settings import Settings
from jobs.sessions.events import CLICK, VIEW, AsAction
from jobs.sessions.records import LateRecords


def topology(settings: Settings) -> Topology:
    """The topology of `anomalies` under these settings."""
    views = Map("views", Source("ad-views"), AsAction(VIEW))
    clicks = Map("clicks", Source("ad-clicks"), AsAction(CLICK))
    actions = Merge("actions", (views, clicks))
    sessions = Process("sessions", KeyBy(actions, "userId"), _session_rules(settings))
    findings = (
        Map("click-rate", _click_windows(clicks, settings), ClickRate(settings.click_limit)),
        sessions.output("anomalies"),
        _click_through(actions, settings),
    )
    return Topology(
        name="anomalies",
        sinks=(
            Sink(STREAM, Map("anomaly-records", Merge("findings", findings), anomaly_records)),
            Sink("late-events", Map("late-records", sessions.output("late"), LateRecords(settings.grace))),
        ),
        balance=("actions_out", "actions_open", "duplicates", "late", "dead_letters"),
    )


def _session_rules(settings: Settings) -> SessionRules:
    sessions = Sessions(settings.gap, settings.grace, settings.dedupe)
    return SessionRules(sessions, settings.session_longest, settings.session_pause, settings.session_actions)


def _click_windows(clicks: Map, settings: Settings) -> Output:
    """The clicks of each user in sliding windows."""
    windows = Windows(
        "userId",
        counts=(("clicks", CLICK),),
        size=settings.click_window,
        every=settings.click_every,
        grace=settings.grace,
        dedupe=settings.dedupe,
    )
    return Process("click-windows", KeyBy(clicks, "userId"), LateToldBeside(windows)).output("windows")


def _click_through(actions: Merge, settings: Settings) -> Output:
    """The click-through of each advertisement in tumbling windows, against those before."""
    windows = Windows(
        "advertisementId",
        counts=(("views", VIEW), ("clicks", CLICK)),
        size=settings.ad_window,
        every=settings.ad_window,
        grace=settings.grace,
        dedupe=settings.dedupe,
    )
    baseline = Baseline(
        windows.windows_schema,
        part="clicks",
        whole="views",
        kind=CLICK_THROUGH,
        grace=settings.grace,
        windows=settings.ad_history,
        least=settings.ad_history_least,
        support=settings.ad_views,
        limit=settings.ad_score,
        floor=settings.ad_floor,
    )
    counted = Process("ad-windows", KeyBy(actions, "advertisementId"), LateToldBeside(windows)).output("windows")
    return Process("click-through", KeyBy(counted, "advertisementId"), baseline).output("anomalies")
