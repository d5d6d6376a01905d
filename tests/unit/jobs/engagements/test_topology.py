"""The topology of the job: what it is made of, and what it refuses."""

from __future__ import annotations

from common.topology.checks import check
from jobs.billing.settings import Settings as BillingSettings
from jobs.billing.topology import topology as billing_topology
from jobs.engagements.settings import Settings
from jobs.engagements.topology import topology


def test_it_passes_the_checks_with_two_shuffles() -> None:
    plan = check(topology(Settings()))
    assert plan.sources == ("ad-sessions", "advertisements")
    assert [[stage.id for stage in stages] for stages in plan.rounds] == [["bills"], ["totals", "engagements"]]
    assert not plan.timed


def test_in_one_job_with_sessions_the_same_operators_run() -> None:
    alone, chained = check(topology(Settings())), check(billing_topology(BillingSettings()))
    assert [stage.operator for stage in chained.stages[1:]] == [stage.operator for stage in alone.stages]
    assert chained.sinks == ("ad-sessions", "late-events", "ad-engagements", "dead-letters")
    assert chained.timed == {"ad-views", "ad-clicks"}


def test_what_was_counted_by_another_attribution_is_refused() -> None:
    plans = [check(topology(Settings(attribution=name))) for name in ("every_view", "one_to_one")]
    assert plans[0].fingerprint != plans[1].fingerprint
