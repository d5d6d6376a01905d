"""What a report shows of a run; the numbers beside those of the run's own summary and table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cli.main import invoke
from common.config.jobs import report_of
from common.report.output import RunOutput
from common.report.page import numbers
from common.report.panels import Panel, Panels, row_of_rate

ALL = (
    "Sessions over time",
    "Length of sessions",
    "Actions of sessions",
    "Click-through by advertisement",
    "Conversions by advertisement",
    "Click-through by position",
    "Late events by lateness",
    "Corrections",
    "Dead letters by reason",
    "Watermark lag",
    "Balance of records",
    "What flows where",
)


def every(panels: Panels) -> dict[str, Panel]:
    return {panel.title: panel for panel in (*panels.results(), *panels.misfits(), *panels.course())}


def test_a_run_with_everything_fills_every_panel(streamed: RunOutput) -> None:
    found = every(Panels(streamed))
    assert tuple(found) == ALL
    assert all(panel.chart is not None for panel in found.values())


def test_its_numbers_are_those_of_the_run(streamed: RunOutput) -> None:
    panels, metrics = Panels(streamed), streamed.summary.metrics
    shown, table = numbers(panels), report_of("billing", streamed.root)
    assert shown["sessions"] == f"{table['sessions']:,}"
    assert (shown["users"], shown["actions"]) == (f"{table['users']:,}", f"{metrics['actions_out']:,}")
    assert shown["conversions"] == f"{table['conversions']:,}"
    found = every(panels)
    assert found["Late events by lateness"].text.startswith(f"{metrics['late']:,} events were the grace of 1h or more")
    assert found["Corrections"].text.startswith(f"{metrics['sessions_retracted']:,} emitted sessions")
    assert found["Dead letters by reason"].text.startswith(f"{metrics['dead_letters']:,} records")
    assert found["Watermark lag"].text.startswith("After 6 steps")
    assert f"{metrics['records_in']:,} records that came in is accounted for" in found["Balance of records"].text


def test_a_record_that_is_missing_is_said(streamed: RunOutput) -> None:
    metrics = {**streamed.summary.metrics, "records_in": streamed.summary.metrics["records_in"] + 3}
    lossy = replace(streamed, summary=replace(streamed.summary, metrics=metrics))
    assert every(Panels(lossy))["Balance of records"].text.startswith("3 of")


def test_what_is_not_there_is_said_in_a_line(ads: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    assert invoke(["generate", "--output", str(clean), "--events", "500", "--malformed", "0", "--late", "0"]) == 0
    out = tmp_path / "out"
    assert invoke(["run", "sessions", "--engine", "local", "--input", str(clean), "--output", str(out)]) == 0
    found = every(Panels(RunOutput.load(out)))
    assert {title: panel.text for title, panel in found.items() if panel.chart is None} == {
        "Conversions by advertisement": "The job sessions writes no ad-engagements.",
        "Late events by lateness": "No event came too late.",
        "Corrections": "No late event made an emitted session untrue: no session was taken back.",
        "Dead letters by reason": "Every record kept its contract.",
        "Watermark lag": "A batch is one step: its watermark goes from the beginning to the end.",
    }


def test_records_on_a_broker_are_not_here(streamed: RunOutput) -> None:
    away = replace(streamed, spec=replace(streamed.spec, sink="kafka://127.0.0.1:9092"))
    found = every(Panels(away))
    assert (
        found["Sessions"].text
        == "The records of ad-sessions went to kafka://127.0.0.1:9092; this page is made of files."
    )
    assert found["Dead letters by reason"].text.startswith("The records of dead-letters went to")
    assert found["Watermark lag"].chart is not None


@given(st.integers(1, 10**6).flatmap(lambda views: st.tuples(st.just(views), st.integers(0, views))))
def test_a_rate_lies_in_its_interval(counts: tuple[int, int]) -> None:
    row = row_of_rate(*counts)
    assert 0 <= row["low"] <= row["rate"] <= row["high"] <= 1


def test_the_interval_is_that_of_wilson() -> None:
    row = row_of_rate(100, 10)
    assert (row["low"], row["high"]) == (pytest.approx(0.0552, abs=1e-4), pytest.approx(0.1744, abs=1e-4))
