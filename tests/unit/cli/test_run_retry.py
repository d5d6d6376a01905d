"""`adstream run --retry`: a job whose broker or storage is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.cli.request import Request, clear
from common.cli.run import persist
from common.errors import AdstreamError, ExitCode, UnavailableError
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from tests.unit.cli.conftest import Adstream


class Outages:
    """Runs that end because the broker went away, each so many steps further than the one before; then a good one."""

    def __init__(self, *steps: int) -> None:
        self.steps = list(steps)
        self.specs: list[JobSpec] = []

    def __call__(self, spec: JobSpec, before: Callable[[], None]) -> Summary:
        before()
        self.specs.append(spec)
        if not self.steps:
            return Summary("sessions", "local", "stream", spec.output, {}, (), 1, 0, 0.0)
        run = Run.open(spec)
        kept = run.kept()
        run.checkpoint.save(replace(kept, step=kept.step + self.steps.pop(0)))
        raise UnavailableError("the broker does not answer", "start it")


def stream(ads: Path, out: Path) -> Request:
    return Request("sessions", "local", str(ads), out, mode="stream", until_caught_up=True, overwrite=True)


def test_a_run_that_lost_its_broker_goes_on_when_told_to_retry(
    ads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outages = Outages(3, 0, 2)
    persist(stream(ads, tmp_path / "out"), 60, outages)
    assert len(outages.specs) == 4
    assert capsys.readouterr().err == 3 * "adstream: the broker does not answer; starting again where it was\n"
    kept = Run.open(outages.specs[0]).kept()
    assert kept.step == 5, "it was overwritten by the first run only"


def test_output_that_could_not_be_dropped_yet_is_dropped_before_it_goes_on(
    ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, answers = tmp_path / "out", [UnavailableError("the storage is away", "start it")]

    def cleared(run: Run) -> None:
        if answers:
            raise answers.pop()
        clear(run)

    monkeypatch.setattr("common.cli.run.clear", cleared)
    monkeypatch.setattr("common.retry.PAUSE_SECONDS", 0.0)
    outages = Outages()
    (out / "ad-sessions").mkdir(parents=True)
    (out / "ad-sessions" / "earlier.jsonl").touch()
    persist(stream(ads, out), 60, outages)
    assert len(outages.specs) == 1 and not (out / "ad-sessions").exists()


def test_a_run_that_gets_no_further_in_its_time_ends(ads: Path, tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="the broker does not answer"):
        persist(stream(ads, tmp_path / "out"), 1, Outages(*[0] * 10_000))


def test_a_run_that_lost_its_broker_ends_unless_told_to_retry(ads: Path, tmp_path: Path) -> None:
    outages = Outages(3)
    with pytest.raises(AdstreamError, match="the broker does not answer"):
        persist(stream(ads, tmp_path / "out"), 0, outages)
    assert len(outages.specs) == 1


def test_a_retry_that_is_no_duration_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path, "--retry", "soon")
    assert (said.code, said.error) == (
        ExitCode.REFUSED,
        "adstream: --retry: 'soon' is not a duration: write 30m, 90s, 1h30m, 250ms or 2d",
    )
