"""The whole job on the local engine, against three dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.contracts.contract import load
from common.datasets.catalogue import ADVERTISEMENTS, CAMPAIGNS, CUSTOMERS, CatalogueSettings, generate_catalogue
from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from common.streams.materialise import records, table
from common.topology.checks import check
from jobs.eventification.report import report
from jobs.eventification.settings import Settings
from jobs.eventification.topology import topology

Table = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eventification") / "in"
    settings = CatalogueSettings(
        changes=3_000, advertisements=200, campaigns=30, customers=12, files=12, deleted=0.15, unrelated=0.1
    )
    generate_catalogue(settings, folder)
    return folder


def test_its_checks_pass() -> None:
    plan = check(topology(Settings()))
    assert [[stage.id for stage in stages] for stages in plan.rounds] == [
        ["promoted-references", "sponsored-references"],
        ["sponsored-subscriptions"],
        ["sponsored", "promoted-subscriptions"],
        ["promoted"],
    ]
    assert not plan.timed


def test_another_join_under_a_kept_state_is_refused() -> None:
    assert check(topology(Settings())).fingerprint != check(topology(Settings(join="inner"))).fingerprint


@pytest.mark.parametrize("file_format", ["jsonl", "avro", "parquet", "delta"])
@pytest.mark.parametrize("how", ["left", "inner"])
def test_batch_and_stream_give_what_dictionaries_give(
    catalogue: Path, how: str, file_format: str, tmp_path: Path
) -> None:
    right = expected(catalogue, how)
    assert sum(row["customer"] is not None for row in right.values()) > 20, "or it would show nothing"
    assert any(row["campaign"] is None for row in right.values()) == (how == "left")
    for mode in ("batch", "stream"):
        output = tmp_path / mode
        spec = JobSpec(
            job="eventification",
            engine="local",
            mode=mode,
            input=str(catalogue),
            output=str(output),
            checkpoint=str(output / "_checkpoint"),
            format=file_format,
            settings={"buckets": 3, "join": how},
            until_caught_up=mode == "stream",
            drain=mode == "stream",
        )
        summary = run(spec)
        assert summary.balanced and summary.metrics["records_in"] == 3_000
        found = table(output, "promotions", load("promotions"))
        assert {row["key"]: row["value"] for row in found.to_pylist()} == right
        assert report(output)["promotions"] == len(right)
    tombstones = sum(part["value"].null_count for part in records(output, "promotions", load("promotions")))
    assert tombstones > 0


def expected(catalogue: Path, how: str) -> Table:
    """By the book: the rows that stand, looked up."""
    advertisements, campaigns, customers = (standing(catalogue, s) for s in (ADVERTISEMENTS, CAMPAIGNS, CUSTOMERS))
    promotions = {}
    for key, row in advertisements.items():
        campaign = campaigns.get(row["campaignId"])
        customer = customers.get(campaign["customerId"]) if campaign else None
        if how == "inner" and customer is None:
            continue
        promotions[key] = {
            "name": row["name"],
            "type": row["type"],
            "campaign": campaign and {"id": row["campaignId"], "name": campaign["name"]},
            "customer": customer
            and campaign
            and {"id": campaign["customerId"], "name": customer["name"], "country": customer["country"]},
        }
    return promotions


def standing(catalogue: Path, stream: str) -> Table:
    rows: Table = {}
    for part in records(catalogue, stream, load(stream)):
        for record in part.to_pylist():
            if record["value"] is None:
                rows.pop(record["key"], None)
            else:
                rows[record["key"]] = record["value"]
    return rows
