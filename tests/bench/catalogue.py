"""The input of the engagements job: a catalogue of advertisements, then sessions with them, made once.

    advertisements   the catalogue, in one or more files; then some that change
    ad-sessions      nothing while the catalogue comes; then sessions

No session is corrected and no advertisement deleted, so that a job by hand needs no order among the records of a key.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.contracts.contract import load
from common.datasets.generate import advertisements
from common.datasets.output import StreamsOutput
from common.streams.columns import ms_to_timestamps
from tests.bench.inputs import FOLDER, Input

Ints = npt.NDArray[np.int64]

JOB = "engagements"
SESSIONS, ADVERTISEMENTS = "ad-sessions", "advertisements"
LOAD_ROWS = 500_000
"""How much of the catalogue a file holds."""
ACTIONS = 4
GAP = 1_800_000
START = 1_767_225_600_000


class PlainParquet:
    """A Parquet file that each engine's own reader takes: Flink's knows no deltas.

    Args:
        path: The file.
        stream: The stream of its records.
    """

    def __init__(self, path: Path, stream: str) -> None:
        self._writer = pq.ParquetWriter(path, load(stream).arrow, compression="zstd", store_schema=False)

    def write(self, records: pa.Table) -> None:
        """Appends records as a row group."""
        self._writer.write_table(records)

    def close(self) -> None:
        """Completes the file."""
        self._writer.close()


@dataclass(frozen=True)
class Catalogue:
    """What to make.

    Attributes:
        advertisements: How many there are.
        files: How many files of sessions there are.
        sessions: How many sessions a file has.
        changed: How many advertisements change in it.
    """

    advertisements: int
    files: int
    sessions: int
    changed: int = 0

    @property
    def loads(self) -> int:
        """How many files the catalogue has."""
        return -(-self.advertisements // LOAD_ROWS)

    @property
    def name(self) -> str:
        """The input's folder."""
        return f"{JOB}-{self.advertisements}-{self.files}-{self.sessions}-{self.changed}"

    def made(self) -> Input:
        """The streams, made if they are not there yet; `first` is the catalogue."""
        source = FOLDER / "streams" / self.name
        if not source.exists():
            staged = source.with_suffix(".new")
            shutil.rmtree(staged, ignore_errors=True)
            self._make(StreamsOutput(staged, (SESSIONS, ADVERTISEMENTS), "parquet", PlainParquet))
            staged.rename(source)
        first = self.advertisements
        return Input(source, first + self.files * (self.sessions + self.changed), first, JOB, self.loads)

    def _make(self, output: StreamsOutput) -> None:
        chance = np.random.default_rng(seed=self.advertisements)
        with output as out:
            for start in range(0, self.advertisements, LOAD_ROWS):
                out.write(ADVERTISEMENTS, _described(np.arange(start, min(start + LOAD_ROWS, self.advertisements)), ""))
                out.next_file()
            for number in range(self.files):
                changed = chance.choice(self.advertisements, self.changed, replace=self.changed > self.advertisements)
                out.write(ADVERTISEMENTS, _described(changed, f" {number}"))
                first = chance.integers(self.advertisements, size=self.sessions)
                second = chance.integers(self.advertisements, size=self.sessions)
                clicked = chance.random(self.sessions) < 0.5
                out.write(SESSIONS, _sessions(number * self.sessions, first, second, clicked))
                out.next_file()


def _described(ids: Ints, suffix: str) -> pa.Table:
    """Records of advertisements; the suffix tells the versions of one apart."""
    records = advertisements(1)
    kinds = pa.array(["Books", "Cars", "Food", "Games", "Garden", "Music", "Pets", "Travel"]).take(pa.array(ids % 8))
    names = pc.binary_join_element_wise("ad ", pa.array(ids).cast(pa.string()), suffix, "")
    value = pa.StructArray.from_arrays([names, kinds], fields=list(records.schema.field("value").type))
    return pa.table([pa.array(ids), value], schema=records.schema)


def _sessions(number: int, first: Ints, second: Ints, clicked: npt.NDArray[np.bool_]) -> pa.Table:
    """Sessions of four actions: views of two advertisements, and of some the first is clicked.

    Args:
        number: The number of the first session; each has a user of its own.
        first: The advertisement that is viewed twice.
        second: The one that is viewed in between.
        clicked: Whether the first is clicked in the end; else the second is viewed again.
    """
    schema = load(SESSIONS).arrow
    key_type, value_type = schema.field("key").type, schema.field("value").type
    many = len(first)
    begin = START + (number + np.arange(many)) * 1_000
    times = begin[:, None] + np.arange(ACTIONS) * 1_000
    ads = np.stack([first, second, first, np.where(clicked, first, second)], axis=1)
    clicks = np.zeros((many, ACTIONS), dtype=np.int32)
    clicks[:, -1] = clicked

    action_type = value_type.field("actions").type
    columns = [
        ms_to_timestamps(pa.array(times.reshape(-1))),
        pa.array(ads.reshape(-1)),
        pa.DictionaryArray.from_arrays(clicks.reshape(-1), ["View", "Click"]).cast(
            action_type.value_type.field("action").type
        ),
    ]
    items = pa.StructArray.from_arrays(columns, fields=list(action_type.value_type))
    offsets = pa.array(np.arange(many + 1, dtype=np.int32) * ACTIONS)
    actions = pa.ListArray.from_arrays(offsets, items, type=action_type)

    window_type = key_type.field("window").type
    bounds = [ms_to_timestamps(pa.array(moment)) for moment in (begin, times[:, -1] + GAP)]
    window = pa.StructArray.from_arrays(bounds, fields=list(window_type))
    users = pc.binary_join_element_wise("user", pa.array(number + np.arange(many)).cast(pa.string()), "-")
    key = pa.StructArray.from_arrays([window, users], fields=list(key_type))
    value = pa.StructArray.from_arrays([actions], fields=list(value_type))
    return pa.table([key, value], schema=schema)
