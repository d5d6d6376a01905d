"""Streams made up to any size: seeded, so the same settings give the same files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.datasets.impressions import ADVERTISEMENTS, CLICKS, VIEWS, advertisement_records
from common.datasets.output import FileFormat, StreamsOutput, contract_encoder
from common.datasets.settings import GeneratorSettings
from common.datasets.traffic import Damage, Events, Ints, Traffic
from common.streams.columns import ms_to_timestamps
from common.streams.encode import Encoder, ParquetEncoder

TYPES = pa.array(["Books", "Cars", "Food", "Games", "Garden", "Metalworking", "Music", "Pets", "Shoes", "Travel"])
DAMAGES: Mapping[str, tuple[Damage, ...]] = {
    "avro": (Damage.EMPTY_USER, Damage.NEGATIVE_TIME, Damage.FAR_FUTURE),
    "parquet": (Damage.EMPTY_USER, Damage.NEGATIVE_TIME, Damage.FAR_FUTURE, Damage.NO_USER),
    "jsonl": tuple(Damage)[1:],
}
"""What can be wrong with a record of each format and still be written."""


@dataclass(frozen=True)
class Generated:
    """What was made.

    Attributes:
        files: How many files each stream has.
        records: How many records each stream has, everything included.
        late: How many events arrive later than the disorder allows.
        duplicates: How many records are redeliveries.
        malformed: How many records break their contract.
        bots: How many users are bots; their names begin with `bot-`.
    """

    files: int
    records: Mapping[str, int]
    late: int
    duplicates: int
    malformed: int
    bots: int


def generate(settings: GeneratorSettings, output: Path, file_format: FileFormat = "jsonl") -> Generated:
    """Makes `ad-views`, `ad-clicks` and `advertisements`.

    Files are cut at the same moments of arrival in both event streams: a job whose `out_of_orderness` is at least
    `disorder` sees as late only what was made late, or redelivered too late. The advertisements arrive with the first.

    Args:
        settings: What to make.
        output: The folder that gets a folder a stream.
        file_format: What the streams' files are.

    Raises:
        AdstreamError: The format is unknown, or the streams are already there.
    """
    records = {VIEWS: 0, CLICKS: 0, ADVERTISEMENTS: settings.advertisements}
    late = duplicates = malformed = 0
    traffic = Traffic(settings, DAMAGES.get(file_format, ()))
    with StreamsOutput(output, tuple(records), file_format, _open_nullable) as out:
        out.write(ADVERTISEMENTS, advertisements(settings.advertisements))
        for file in traffic.files():
            torn: dict[str, list[Ints]] = {VIEWS: [], CLICKS: []}
            lines = {VIEWS: 0, CLICKS: 0}
            for events in file:
                for stream, of_stream in by_stream(events):
                    out.write(stream, event_records(stream, of_stream, settings.users))
                    torn[stream].append(lines[stream] + np.flatnonzero(of_stream.damage == Damage.TORN))
                    lines[stream] += len(of_stream)
                late += int(np.count_nonzero(events.late & ~events.again))
                duplicates += int(np.count_nonzero(events.again))
                malformed += int(np.count_nonzero(events.damage))
            completed = out.next_file()
            for stream, places in torn.items():
                _tear(completed[stream], np.concatenate(places))
                records[stream] += lines[stream]
    return Generated(out.files, records, late, duplicates, malformed, traffic.bots)


def _open_nullable(path: Path, stream: str) -> Encoder:
    """An encoder that also writes a null key, where the format has room for one."""
    if path.suffix == ".parquet":
        key, value = load(stream).arrow
        return ParquetEncoder(path, pa.schema([key.with_nullable(True), value]))
    return contract_encoder(path, stream)


def advertisements(count: int) -> pa.Table:
    """Records of `advertisements`, one each."""
    ids = np.arange(count)
    types = TYPES.take(pa.array(ids % len(TYPES)))
    return advertisement_records(pa.chunked_array([pa.array(ids)]), "ad", pa.chunked_array([types]))


def by_stream(events: Events) -> tuple[tuple[str, Events], ...]:
    """The views and the clicks among events, each with its stream."""
    return (VIEWS, events.take(~events.click)), (CLICKS, events.take(events.click))


def event_records(stream: str, events: Events, users: int) -> pa.Table:
    """Events as records of their stream; the key may be null."""
    key, value = load(stream).arrow
    columns = [pa.array(events.advertisement), ms_to_timestamps(pa.array(events.time))]
    return pa.table(
        [_names(events, users), pa.StructArray.from_arrays(columns, fields=list(value.type))],
        schema=pa.schema([key.with_nullable(True), value]),
    )


def _names(events: Events, users: int) -> pa.Array:
    bot = pa.array(events.user >= users)
    number = pa.array(np.where(events.user >= users, events.user - users, events.user)).cast(pa.string())
    names = pc.binary_join_element_wise(pc.if_else(bot, "bot", "user"), number, "-")
    names = pc.if_else(pa.array(events.damage == Damage.EMPTY_USER), "", names)
    return pc.if_else(pa.array(events.damage == Damage.NO_USER), pa.scalar(None, pa.string()), names)


def _tear(path: Path, lines: Ints) -> None:
    """Takes the last brace off some lines of a text file."""
    if len(lines) == 0:
        return
    content = np.memmap(path, dtype=np.uint8, mode="r+")
    ends = np.flatnonzero(content == ord("\n"))
    content[ends[lines] - 1] = ord(" ")
    content.flush()
