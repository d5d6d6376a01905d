from __future__ import annotations

from pathlib import Path

import pytest

from common.config.jobs import jobs
from common.contracts.contract import streams
from common.errors import AdstreamError
from common.lineage.collect import collect, connected


def test_every_job_and_stream_of_the_suite_is_there() -> None:
    lineage = collect()
    assert {stream.name for stream in lineage.streams} == set(streams())
    assert {job.name for job in lineage.jobs if job.kind == "topology"} == set(jobs())
    assert len({job.name for job in lineage.jobs}) == len(lineage.jobs)


def test_jobs_read_and_write_what_their_topologies_say() -> None:
    sessions = collect().job("sessions")
    assert set(sessions.reads) == {"ad-views", "ad-clicks"}
    assert sessions.writes == ("ad-sessions", "late-events")
    assert (sessions.owner, sessions.dead_letters) == ("behaviour", "dead-letters")
    assert collect().job("billing").owner == "billing"


def test_the_way_of_a_table_is_told_from_the_files_that_free_it() -> None:
    lineage = collect()
    assert lineage.job("liberate-advertisements").tables == ("advertisement",)
    assert lineage.job("connector-publish").writes == lineage.job("publish").reads == ("advertisement-changes",)


def test_a_config_changes_what_is_drawn(tmp_path: Path) -> None:
    config, tables = tmp_path / "rules.yaml", tmp_path / "tables.yaml"
    config.write_text(
        "routing: {source: ad-clicks, filter: 'True', branches: [{stream: routed-clicks, key: value.advertisementId, "
        "value: {userId: key}}]}\n"
    )
    tables.write_text("ad-engagements: {query: SELECT 1, key: id, value: {sum: s}}\n")
    lineage = collect(config, tables)
    assert lineage.job("routing").reads == ("ad-clicks",)
    assert lineage.job("routing").writes == ("routed-clicks", "unrouted")
    assert lineage.job("liberate-ad-engagements").tables == ("query of ad-engagements",)


def test_a_table_into_a_stream_without_a_contract_is_refused(tmp_path: Path) -> None:
    tables = tmp_path / "tables.yaml"
    tables.write_text("advertisement: {table: a, key: id, value: {name: n}}\n")
    with pytest.raises(AdstreamError, match="unknown stream 'advertisement': did you mean"):
        collect(tables=tables)


def test_a_connector_writes_by_prefix_and_table_unless_a_router_renames_it() -> None:
    config = {"topic.prefix": "shop", "table.include.list": "public.user, public.order"}
    assert connected(config) == {"public.user": "shop.public.user", "public.order": "shop.public.order"}
    router = {
        "transforms": "other, route",
        "transforms.other.type": "io.debezium.transforms.Filter",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": r"shop\.public\.(.*)",
        "transforms.route.replacement": "$1-changes",
    }
    assert connected({**config, **router}) == {"public.user": "user-changes", "public.order": "order-changes"}


def test_a_job_that_keeps_tables_writes_no_stream() -> None:
    land = collect().job("land")
    assert (land.writes, land.dead_letters) == ((), "")
    assert set(land.keeps) == set(land.reads)
