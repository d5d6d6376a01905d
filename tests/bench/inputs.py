"""The streams that are measured: made once, below `build/bench/streams`, the same for every engine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.output import contract_encoder
from common.datasets.settings import GeneratorSettings
from tests.bench.measure import ROOT

FOLDER = ROOT / "build" / "bench"
EVENTS_PER_USER = 40
STREAMS = ("ad-views", "ad-clicks")
LAST_FILE = "999999.parquet"
LAST_USER = "last"
"""Whoever acts two days after all others, so that a stream's watermark passes the end of their sessions."""
LAST_AFTER = 2 * 86_400_000


@dataclass(frozen=True)
class Input:
    """A folder of Parquet streams.

    Attributes:
        source: The folder.
        events: How many events it holds.
        first: How many of them are in the first file of each stream, or in as many as `loads` says.
        job: The job that it is for.
        loads: How many micro-batches of a stream are not counted, as they only fill a table.
    """

    source: Path
    events: int
    first: int
    job: str = "sessions"
    loads: int = 1


def made(events: int, files: int) -> Input:
    """A day of traffic without anything that the engines treat differently, made if it is not there yet.

    There are no late, repeated, malformed or automatic events; forty events a user.

    Args:
        events: How many views and clicks.
        files: How many files of each stream, before the last one that holds `LAST_USER`.
    """
    source = FOLDER / "streams" / f"{events}-{files}"
    if not source.exists():
        staged = source.with_suffix(".new")
        shutil.rmtree(staged, ignore_errors=True)
        settings = GeneratorSettings(
            events=events,
            users=max(1, events // EVENTS_PER_USER),
            files=files,
            bots=0,
            late=0,
            duplicates=0,
            malformed=0,
        )
        generate(settings, staged, "parquet")
        for stream in STREAMS:
            _close(staged, stream, settings.start + settings.span + LAST_AFTER)
        staged.rename(source)
    return Input(source, events + len(STREAMS), sum(_rows(source, stream) for stream in STREAMS))


def _close(folder: Path, stream: str, moment: int) -> None:
    """Adds the file of the last user."""
    schema = load(stream).arrow
    value = pa.array([{"advertisementId": 0, "createdEventTime": moment}], schema.field("value").type)
    encoder = contract_encoder(folder / stream / LAST_FILE, stream)
    encoder.write(pa.table([pa.array([LAST_USER]), value], schema=schema))
    encoder.close()


def _rows(source: Path, stream: str) -> int:
    first = min((source / stream).glob("*.parquet"))
    return int(pq.read_metadata(first).num_rows)
