"""Which restarts are refused, and with which remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import AdstreamError
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.compatible import check, contract_versions
from common.topology.plan import compile_plan
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology

PLAN = compile_plan(topology(Settings()))
START = Manifest.start(PLAN, Clock.start(("views",), 0), buckets=2, contracts=contract_versions(PLAN))


def changed(**fingerprint: object) -> Manifest:
    return replace(
        START, fingerprint={**START.fingerprint, **{k.replace("__", "."): v for k, v in fingerprint.items()}}
    )


def test_a_job_as_it_was_goes_on() -> None:
    check(START, START, "kept")


@pytest.mark.parametrize(
    ("name", "value"),
    [("sessions.gap", 20), ("sessions.operator", "windows"), ("sessions.key", "advertisementId"), ("buckets", 4)],
)
def test_other_parameters_are_refused(name: str, value: object) -> None:
    with pytest.raises(AdstreamError, match=rf"made with {name}=.*, but the job has {name}={value}: set {name} back"):
        check(START, replace(START, fingerprint={**START.fingerprint, name: value}), "kept")


def test_other_columns_of_state_are_refused() -> None:
    assert "userId: string" in START.fingerprint["sessions.state"]
    with pytest.raises(AdstreamError, match=r"made with sessions\.state=.*userId: string"):
        check(START, changed(sessions__state="userId: int64"), "kept")


def test_an_operator_that_is_gone_is_refused_with_its_name() -> None:
    kept = changed(totals__operator="totals", totals__key="advertisementId")
    with pytest.raises(AdstreamError, match="holds state of the operator 'totals', which job 'sessions' no longer has"):
        check(kept, START, "kept")


def test_an_operator_that_is_new_is_refused_with_its_name() -> None:
    now = changed(totals__operator="totals", totals__key="advertisementId")
    with pytest.raises(AdstreamError, match=r"no state of the operator 'totals'.*adstream reprocess sessions"):
        check(START, now, "kept")


def test_the_checkpoint_of_another_job_is_refused() -> None:
    with pytest.raises(AdstreamError, match="is of the job 'billing', not of 'sessions'"):
        check(replace(START, job="billing"), START, "kept")


def test_an_older_contract_than_the_checkpoint_knows_is_refused() -> None:
    kept = replace(START, contracts={**START.contracts, "ad-views": 9})
    with pytest.raises(AdstreamError, match="version 9 of the contract of 'ad-views', but this code has version 1"):
        check(kept, START, "kept")
