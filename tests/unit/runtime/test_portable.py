"""A job stopped in the middle, its checkpoint written as tables, brought in, and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.local.translate import run
from common.errors import AdstreamError
from common.runtime.checkpoint import Checkpoint, Manifest
from common.runtime.clock import Clock
from common.runtime.compatible import contract_versions
from common.runtime.inspection import flaws
from common.runtime.portable import bring_in, export
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.streams.materialise import digest, table

STREAMS = ("ad-views", "ad-clicks", "advertisements")
ANSWERS = ("ad-sessions", "ad-engagements", "late-events")


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ads") / "streams"
    generate(GeneratorSettings(events=2_000, users=100, files=6, malformed=0.0, late=0.02), folder, "parquet")
    return folder


@pytest.fixture
def first(ads: Path, tmp_path: Path) -> JobSpec:
    """The first half of a job, which has sessions open, bills and totals; its input then holds the rest too."""
    spec = spec_of(tmp_path, tmp_path / "in", "out")
    arrive(ads, tmp_path / "in", range(3))
    run(spec)
    arrive(ads, tmp_path / "in", range(3, 6))
    return spec


def spec_of(folder: Path, ads: Path, name: str, **settings: object) -> JobSpec:
    return JobSpec(
        "billing",
        "local",
        "stream",
        str(ads),
        str(folder / name),
        str(folder / f"{name}-kept"),
        settings={"buckets": 8, **settings},
        until_caught_up=True,
    )


def arrive(ads: Path, target: Path, files: range) -> None:
    for stream in STREAMS:
        (target / stream).mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(sorted((ads / stream).iterdir())):
            if number in files:
                (target / stream / path.name).symlink_to(path)


def answer(spec: JobSpec) -> dict[str, str]:
    return {stream: digest(table(spec.output, stream, load(stream))) for stream in ANSWERS}


def begins(spec: JobSpec) -> Manifest:
    plan, settings = spec.plan(), spec.typed_settings()
    return Manifest.start(plan, Clock(settings.out_of_orderness), settings.buckets, contract_versions(plan))


@pytest.mark.parametrize("buckets", [8, 3, 32])
def test_a_job_goes_on_from_tables_in_any_number_of_buckets(
    buckets: int, first: JobSpec, ads: Path, tmp_path: Path
) -> None:
    manifest = Checkpoint(first.checkpoint).load()
    assert manifest is not None
    rows = export(Checkpoint(first.checkpoint), first.plan(), manifest, tmp_path / "tables")
    assert rows["sessions"] > 0 and rows["engagements"] > 0
    moved = replace(first, checkpoint=str(tmp_path / "moved"), settings={**first.settings, "buckets": buckets})
    kept = bring_in(tmp_path / "tables", Checkpoint(moved.checkpoint), moved.plan(), begins(moved))
    assert list(flaws(Checkpoint(moved.checkpoint), kept)) == []
    assert Run.open(moved).metrics(kept) == Run.open(first).metrics(manifest), "as before, until the next step"
    summary = run(replace(moved, drain=True))
    whole = replace(spec_of(tmp_path, ads, "whole"), drain=True)
    assert dict(summary.metrics) == dict(run(whole).metrics)
    assert answer(moved) == answer(whole)


@pytest.mark.parametrize("buckets", [2, 4, 8])
def test_what_is_known_of_all_keys_reaches_every_bucket(buckets: int, tmp_path: Path) -> None:
    changes = tmp_path / "in" / "advertisement-changes"
    changes.mkdir(parents=True)
    before = [change("c", number, number) for number in range(1, 21)]
    write(changes / "1.jsonl", [*before, change("t", None, 30), change("c", 99, 40)])
    spec = JobSpec(
        *("publish", "local", "stream", str(tmp_path / "in"), str(tmp_path / "out"), str(tmp_path / "kept")),
        settings={"buckets": 4},
        until_caught_up=True,
    )
    run(spec)
    manifest = Checkpoint(spec.checkpoint).load()
    assert manifest is not None
    export(Checkpoint(spec.checkpoint), spec.plan(), manifest, tmp_path / "tables")
    moved = replace(spec, checkpoint=str(tmp_path / "moved"), settings={"buckets": buckets})
    bring_in(tmp_path / "tables", Checkpoint(moved.checkpoint), moved.plan(), begins(moved))
    write(changes / "2.jsonl", before)  # they come again, from before the truncation
    run(moved)
    assert table(moved.output, "advertisements", load("advertisements"))["key"].to_pylist() == [99]


@pytest.mark.parametrize("job", ["land", "routing"])
@pytest.mark.parametrize("buckets", [4, 8])
def test_a_job_without_state_goes_to_other_buckets_too(job: str, buckets: int, tmp_path: Path) -> None:
    spec = JobSpec(job, "local", "stream", "", "", str(tmp_path / "kept"), settings={"buckets": 4})
    export(Checkpoint(spec.checkpoint), spec.plan(), replace(begins(spec), step=3), tmp_path / "tables")
    moved = replace(spec, settings={"buckets": buckets})
    assert bring_in(tmp_path / "tables", Checkpoint(spec.checkpoint), moved.plan(), begins(moved)).step == 3


def change(op: str, id_: int | None, place: int) -> dict[str, object]:
    row = None if op == "t" else {"id": id_, "name": "n", "type": "t", "is_deleted": False}
    key = None if id_ is None else {"id": id_}
    return {"key": key, "value": {"op": op, "after": row, "source": {"lsn": place, "ts_ms": 1}}}


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_nothing_is_lost_when_the_buckets_are_as_they_were(first: JobSpec, tmp_path: Path) -> None:
    manifest = Checkpoint(first.checkpoint).load()
    assert manifest is not None
    export(Checkpoint(first.checkpoint), first.plan(), manifest, tmp_path / "one")
    again = bring_in(tmp_path / "one", Checkpoint(tmp_path / "again"), first.plan(), begins(first))
    assert replace(again, rounds=()) == replace(manifest, rounds=())
    export(Checkpoint(tmp_path / "again"), first.plan(), again, tmp_path / "two")
    for name in ("offsets", "watermarks", "buckets", "sessions"):
        assert pq.read_table(tmp_path / "one" / f"{name}.parquet").equals(
            pq.read_table(tmp_path / "two" / f"{name}.parquet")
        )


def test_other_parameters_and_torn_tables_are_refused(first: JobSpec, tmp_path: Path) -> None:
    manifest = Checkpoint(first.checkpoint).load()
    assert manifest is not None
    tables = tmp_path / "tables"
    export(Checkpoint(first.checkpoint), first.plan(), manifest, tables)
    other = replace(first, settings={**first.settings, "gap": 1_000})
    with pytest.raises(AdstreamError, match=r"made with sessions\.gap=1800000, but the job has sessions\.gap=1000"):
        bring_in(tables, Checkpoint(tmp_path / "new"), other.plan(), begins(other))
    with pytest.raises(AdstreamError, match="is there already"):
        bring_in(tables, Checkpoint(first.checkpoint), first.plan(), begins(first))
    (tables / "bills.parquet").write_bytes((tables / "bills.parquet").read_bytes()[:-1])
    with pytest.raises(AdstreamError, match=r"bills\.parquet' can't be read \(it is not as it was written\)"):
        bring_in(tables, Checkpoint(tmp_path / "new"), first.plan(), begins(first))
