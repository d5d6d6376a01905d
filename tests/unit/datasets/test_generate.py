from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.datasets.generate import Generated, generate
from common.datasets.output import FileFormat
from common.datasets.settings import GeneratorSettings
from common.errors import AdstreamError
from common.streams.decode import read
from common.streams.folder import FolderSource

STREAMS = ("ad-views", "ad-clicks", "advertisements")
FORMATS = pytest.mark.parametrize("file_format", ["jsonl", "avro", "parquet"])
NOW = 1_800_000_000_000


def made(root: Path, file_format: FileFormat, **settings: Any) -> Generated:
    chosen = {"events": 3_000, "users": 50, "advertisements": 20, "files": 4, "malformed": 0.05, **settings}
    return generate(GeneratorSettings(**chosen), root, file_format)


def decoded(root: Path) -> tuple[Counter[str], Counter[str], list[str]]:
    """Good and dead records by stream, and why the dead are dead."""
    good, dead, reasons = Counter[str](), Counter[str](), []
    for split in FolderSource.open(str(root), STREAMS).everything(2**30):
        for batch in read(split, load(split.stream), NOW):
            good[split.stream] += batch.records.num_rows
            dead[split.stream] += batch.dead.num_rows
            reasons += [letter["reason"] for letter in batch.dead["value"].to_pylist()]
    return good, dead, reasons


@FORMATS
def test_what_is_reported_is_what_is_there(tmp_path: Path, file_format: FileFormat) -> None:
    report = made(tmp_path, file_format)
    good, dead, _ = decoded(tmp_path)
    assert good + dead == report.records
    assert dead.total() == report.malformed == pytest.approx(150, abs=4)
    assert report.duplicates == pytest.approx(30, abs=4)
    assert report.late == pytest.approx(15, abs=4)
    assert report.files == 4
    assert dead["advertisements"] == 0
    names = [f"{i:06d}.{file_format}" for i in range(4)]
    assert all(sorted(path.name for path in (tmp_path / stream).iterdir()) == names for stream in STREAMS)


@pytest.mark.parametrize(
    ("file_format", "expected"),
    [
        ("avro", ["key is empty", "createdEventTime is negative", "createdEventTime is 32503680000000"]),
        ("parquet", ["key is empty", "negative", "32503680000000", "key is null"]),
        ("jsonl", ["key is empty", "negative", "32503680000000", "key is null", "malformed JSON"]),
    ],
)
def test_malformed_is_all_that_a_format_can_hold(tmp_path: Path, file_format: FileFormat, expected: list[str]) -> None:
    made(tmp_path, file_format)
    _, _, reasons = decoded(tmp_path)
    counts = [sum(part in reason for reason in reasons) for part in expected]
    assert min(counts) > 10
    assert sum(counts) == len(reasons)


@FORMATS
def test_formats_hold_the_same_events(tmp_path: Path, file_format: FileFormat) -> None:
    made(tmp_path / "made", file_format, malformed=0)
    made(tmp_path / "json", "jsonl", malformed=0)
    assert content(tmp_path / "made").equals(content(tmp_path / "json"))


def content(root: Path) -> pa.Table:
    splits = FolderSource.open(str(root), ("ad-views",)).everything(2**30)
    return pa.concat_tables([batch.records for split in splits for batch in read(split, load("ad-views"), NOW)])


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_the_same_settings_give_the_same_bytes(tmp_path: Path, file_format: FileFormat) -> None:
    digests = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        made(tmp_path / name, file_format, seed=seed)
        files = sorted((tmp_path / name).rglob(f"*.{file_format}"))
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_every_advertisement_is_described_in_the_first_file(tmp_path: Path) -> None:
    made(tmp_path, "jsonl")
    assert (tmp_path / "advertisements" / "000000.jsonl").read_text().count("\n") == 20
    assert (tmp_path / "advertisements" / "000001.jsonl").read_text() == ""


def test_bots_can_be_told_by_their_names(tmp_path: Path) -> None:
    report = made(tmp_path, "jsonl", bots=0.5)
    users = set(content_keys(tmp_path))
    bots = {user for user in users if user.startswith("bot-")}
    assert 0 < len(bots) <= report.bots
    assert users - bots <= {f"user-{i}" for i in range(50)}


def content_keys(root: Path) -> list[str]:
    keys: list[str] = content(root)["key"].to_pylist()
    return keys


def test_more_files_than_events_leave_some_empty(tmp_path: Path) -> None:
    report = made(tmp_path, "parquet", events=2, files=9, malformed=0, late=0, duplicates=0)
    good, _, _ = decoded(tmp_path)
    assert report.files == 9
    assert good["ad-views"] + good["ad-clicks"] == 2


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="'delta' files can't be made here"):
        made(tmp_path, "delta")  # type: ignore[arg-type]
