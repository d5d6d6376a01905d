from __future__ import annotations

from common.topology.plan import compile_plan
from jobs.billing.settings import Settings as BillingSettings
from jobs.billing.topology import topology as billing
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology as sessions

BILLING = compile_plan(billing(BillingSettings()))


def test_stages_that_follow_by_one_key_share_a_round() -> None:
    assert [[stage.id for stage in stages] for stages in BILLING.rounds] == [
        ["sessions"],
        ["bills"],
        ["totals", "engagements"],
    ]


def test_a_source_goes_to_the_round_of_its_stage() -> None:
    (inlet,) = BILLING.inlets_of("advertisements")
    assert BILLING.stage(inlet.stage).round == 2


def test_streams_without_event_times_do_not_move_the_watermark() -> None:
    assert BILLING.timed == {"ad-views", "ad-clicks"}


def test_links_lead_from_stage_to_stage() -> None:
    assert [(link.origin, link.output, link.stage) for link in BILLING.links] == [
        ("sessions", "sessions", "bills"),
        ("bills", "deltas", "totals"),
        ("totals", "totals", "engagements"),
    ]


def test_the_fingerprint_tells_the_parameters_of_every_stage_apart() -> None:
    alone = compile_plan(sessions(Settings(gap=7))).fingerprint
    assert alone["sessions.gap"] == 7
    assert alone["sessions.key"] == "userId"
    assert {name.partition(".")[0] for name in BILLING.fingerprint} == {"sessions", "bills", "totals", "engagements"}
