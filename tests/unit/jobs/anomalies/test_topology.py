"""The whole job on the local engine, against the oracles of its operators."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.local.translate import run
from common.operators.step import END
from common.runtime.spec import JobSpec
from common.streams.columns import timestamps_to_ms
from common.streams.materialise import records, table
from common.topology.checks import check
from common.topology.plan import compile_plan
from jobs.anomalies.settings import Settings
from jobs.anomalies.topology import topology
from jobs.sessions.events import CLICK, VIEW, AsAction
from tests.conformance.anomalies_oracle import Findings, findings
from tests.conformance.oracle import Oracle
from tests.unit.operators.test_sessions import events_of

SETTINGS = {
    "buckets": 2,
    "click_limit": 3,
    "click_every": 300_000,
    "ad_window": 1_200_000,
    "ad_views": 3,
    "ad_history": 4,
    "ad_history_least": 2,
    "ad_score": 1.0,
    "session_longest": 900_000,
    "session_pause": 60_000,
    "session_actions": 4,
}
"""Tight, so that there is much to find."""


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hours of few people and a bot, with events that are late but not too late."""
    folder = tmp_path_factory.mktemp("anomalies") / "in"
    settings = GeneratorSettings(
        events=3_000,
        users=60,
        advertisements=10,
        files=30,
        click_through=0.3,
        late=0.2,
        late_by=1_500_000,
        bots=0.1,
        malformed=0,
    )
    generate(settings, folder)
    return folder


def test_its_checks_pass() -> None:
    plan = check(topology(Settings()))
    assert [stage.id for stage in plan.stages] == ["click-windows", "sessions", "ad-windows", "click-through"]
    assert len(plan.rounds) == 1


def test_batch_and_stream_give_the_oracles_findings(streams: Path, tmp_path: Path) -> None:
    expected = _expected(streams)
    kinds = [kind for kind, *_ in expected]
    assert min(kinds.count(kind) for kind in ("click-rate", "click-through", "session-length", "no-pause")) > 10
    for drains in (False, True):
        output = tmp_path / f"{drains}"
        spec = JobSpec(
            job="anomalies",
            engine="local",
            mode="stream" if drains else "batch",
            input=str(streams),
            output=str(output),
            checkpoint=str(output / "_checkpoint"),
            settings=SETTINGS,
            until_caught_up=drains,
            drain=drains,
        )
        summary = run(spec)
        assert summary.metrics["late"] == 0
        assert sum(summary.metrics.get(name, 0) for name in summary.balance) == summary.metrics["records_in"]
        assert _found(output) == expected
    tombstones = sum(part["value"].null_count for part in records(output, "ad-anomalies", load("ad-anomalies")))
    assert tombstones > 0, "nothing was corrected: the test shows less than it should"


def _expected(streams: Path) -> Findings:
    """By the book, from all events at once."""
    settings = Settings(**SETTINGS)
    events = [
        event
        for stream, action in (("ad-views", VIEW), ("ad-clicks", CLICK))
        for part in records(streams, stream, load(stream))
        for event in events_of(AsAction(action)(part))
    ]
    sessions = Oracle(settings.gap, settings.grace)
    sessions.accepted = events
    return findings(set(events), sessions.table(END), lambda name: getattr(settings, name), END)


def _found(output: Path) -> Findings:
    found = table(output, "ad-anomalies", load("ad-anomalies")).combine_chunks()
    key, value = found["key"].chunk(0), found["value"].chunk(0)
    bounds = [timestamps_to_ms(key.field("window").field(name)).to_pylist() for name in ("start", "end")]
    keys = zip(key.field("kind").to_pylist(), key.field("subject").to_pylist(), *bounds, strict=True)
    return dict(zip(keys, (tuple(row.values()) for row in value.to_pylist()), strict=True))


def test_a_limit_that_findings_were_made_with_is_kept_with_them() -> None:
    plans = [compile_plan(topology(Settings(click_limit=limit))).fingerprint for limit in (2, 10)]
    assert [plan["click-windows.click_limit"] for plan in plans] == [2, 10]
