"""The bundled sample, billed in one job and in two with a stream in between, against the oracle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.open_bandit import import_open_bandit
from common.engines.local.translate import run
from common.runtime.spec import JobSpec, Mode
from common.runtime.summary import Summary
from common.streams.materialise import table
from jobs.billing.report import report
from jobs.engagements.report import report as engagements_report
from tests.conformance.engagements_oracle import Enriched, engagements
from tests.conformance.oracle import Event, Oracle

SAMPLE = Path("tests/data/open-bandit")
GAP = 1_800_000


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    import_open_bandit([SAMPLE / "impressions.csv", SAMPLE / "items.csv"], folder)
    return folder


@pytest.fixture(scope="module")
def expected(streams: Path) -> dict[int, Enriched]:
    """What the oracle makes of the streams."""
    oracle = Oracle(GAP, grace=GAP)
    for action, stream in enumerate(("ad-views", "ad-clicks")):
        for record in table(streams, stream, load(stream)).to_pylist():
            time = round(record["value"]["createdEventTime"].timestamp() * 1_000)
            oracle.accepted.append(Event(record["key"], time, action, record["value"]["advertisementId"]))
    named = {
        record["key"]: (record["value"]["name"], record["value"]["type"])
        for record in table(streams, "advertisements", load("advertisements")).to_pylist()
    }
    return engagements(oracle.table(2**62).values(), named, "every_view")


def enriched(output: Path) -> dict[int, Enriched]:
    records = table(output, "ad-engagements", load("ad-engagements")).to_pylist()
    return {r["key"]: (r["value"]["sum"], r["value"]["name"], r["value"]["type"]) for r in records}


def played(job: str, streams: Path, output: Path, mode: Mode = "batch") -> Summary:
    drains = mode == "stream"
    summary = run(
        JobSpec(
            job=job,
            engine="local",
            mode=mode,
            input=str(streams),
            output=str(output),
            checkpoint=str(output / "_checkpoint"),
            settings={"buckets": 4},
            until_caught_up=drains,
            drain=drains,
        )
    )
    assert summary.balanced, summary.metrics
    return summary


@pytest.mark.parametrize("mode", ["batch", "stream"])
def test_one_job_gives_the_oracles_engagements(
    mode: Mode, streams: Path, expected: dict[int, Enriched], tmp_path: Path
) -> None:
    played("billing", streams, tmp_path, mode)
    assert enriched(tmp_path) == expected
    shown = report(tmp_path)
    assert (shown["sessions"], shown["advertisements"], shown["conversions"]) == (5_035, 80, 40)


def test_two_jobs_with_a_stream_in_between_give_the_same(
    streams: Path, expected: dict[int, Enriched], tmp_path: Path
) -> None:
    between = tmp_path / "between"
    played("sessions", streams, between)
    shutil.copytree(streams / "advertisements", between / "advertisements")
    summary = played("engagements", between, tmp_path / "out")
    assert enriched(tmp_path / "out") == expected
    assert summary.metrics["records_in"] == 5_035 + 80
    assert engagements_report(tmp_path / "out")["most conversions"] == "3, advertisement 49, item-49 (aed79091)"
