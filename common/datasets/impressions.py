"""Impressions with clicks, from any dataset, as the streams `ad-views`, `ad-clicks` and `advertisements`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.datasets.csv_rows import CsvKind, Rejected, kind_of, read_rows
from common.datasets.output import FileFormat, StreamsOutput
from common.errors import AdstreamError
from common.streams.columns import as_array, ms_to_timestamps

VIEWS, CLICKS, ADVERTISEMENTS = "ad-views", "ad-clicks", "advertisements"
DAY = 86_400_000
MOST_PERIODS = 500
"""How many files are open at once while rows are sorted out by time."""

IMPRESSIONS = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("time", pa.int64(), nullable=False),
        pa.field("advertisement", pa.int64(), nullable=False),
        pa.field("viewed", pa.bool_(), nullable=False),
        pa.field("clicked", pa.bool_(), nullable=False),
    ]
)
"""One row an advertisement that was shown, clicked, or both at once; `time` in epoch ms."""

Rows = Callable[[pa.Table, Rejected], pa.Table]
"""Rows of a CSV file to what they mean; rows that mean nothing are told and left out."""


@dataclass(frozen=True)
class Dataset:
    """How to read a public dataset.

    Attributes:
        impressions: The kind of file that says what was shown to whom.
        advertisements: The kind of file that describes the advertisements.
        as_impressions: Rows of the former to `IMPRESSIONS`.
        as_advertisements: Rows of the latter to records of `advertisements`.
    """

    impressions: CsvKind
    advertisements: CsvKind
    as_impressions: Rows
    as_advertisements: Rows


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Attributes:
        files: How many files each stream has.
        records: How many records each stream has.
        rejected: How many rows were left out, by reason.
        examples: The first of each reason.
    """

    files: int
    records: Mapping[str, int]
    rejected: Mapping[str, int]
    examples: Mapping[str, str]


def import_dataset(
    dataset: Dataset,
    files: Sequence[Path],
    output: Path,
    file_format: FileFormat,
    period: int = DAY,
    descriptions: Sequence[Path] = (),
) -> Imported:
    """Makes streams of a dataset's CSV files, in any order of rows; memory follows one period, not the input.

    A row that was viewed is a View, one that was clicked a Click; one that was both, in a dataset that knows no
    time of clicks, is both in one millisecond. Each file of a stream holds one period, in the order of event time, so a run in
    `stream` mode takes one period a step. The advertisements all arrive with the first.

    Args:
        dataset: How to read the files.
        files: CSV files, each known by its header; at least one with impressions.
        output: The folder that gets a folder a stream.
        file_format: What the streams' files are.
        period: How much event time one file holds, in ms.
        descriptions: CSV files that describe advertisements whatever their header resembles.

    Raises:
        AdstreamError: A file is missing or has the wrong columns, the output is already there, no row of what was
            shown can be used, or the rows cover more than `MOST_PERIODS` periods.
    """
    by_kind: dict[CsvKind, list[Path]] = {dataset.impressions: [], dataset.advertisements: list(descriptions)}
    for path in files:
        by_kind[kind_of(path, [kind for kind in by_kind if kind.columns])].append(path)
    if not by_kind[dataset.impressions]:
        raise AdstreamError(f"none of the files is {dataset.impressions.name}", "give at least one that is")
    rejected, records = Rejected(), {VIEWS: 0, CLICKS: 0}
    streams = [VIEWS, CLICKS]
    if by_kind[dataset.advertisements]:
        streams.append(ADVERTISEMENTS)
        records[ADVERTISEMENTS] = 0
    with StreamsOutput(output, streams, file_format) as out:
        for table in _rows(
            dataset.advertisements, by_kind[dataset.advertisements], dataset.as_advertisements, rejected
        ):
            out.write(ADVERTISEMENTS, table)
            records[ADVERTISEMENTS] += table.num_rows
        rows = _rows(dataset.impressions, by_kind[dataset.impressions], dataset.as_impressions, rejected)
        for table in in_periods(rows, period):
            for stream, happened in ((VIEWS, table["viewed"]), (CLICKS, table["clicked"])):
                out.write(stream, actions(stream, table.filter(happened)))
                records[stream] += pc.sum(happened).as_py()
            out.next_file()
        if not any((records[VIEWS], records[CLICKS])) and rejected.total:
            reason, count = rejected.counts.most_common(1)[0]
            raise AdstreamError(
                f"no row can be used: {count:,} are left out as {reason}, the first of them '{rejected.examples[reason]}'",
                "correct the files, or name other columns",
            )
    return Imported(out.files, records, dict(rejected.counts), rejected.examples)


def actions(stream: str, impressions: pa.Table) -> pa.Table:
    """`IMPRESSIONS` as records of `ad-views` or `ad-clicks`."""
    schema = load(stream).arrow
    ad, time = (as_array(impressions[name]) for name in ("advertisement", "time"))
    value = pa.StructArray.from_arrays([ad, ms_to_timestamps(time)], fields=list(schema.field("value").type))
    return pa.table([impressions["user"], value], schema=schema)


def advertisement_records(ids: pa.ChunkedArray, prefix: str, types: pa.ChunkedArray) -> pa.Table:
    """Records of `advertisements`: the advertisement 7 is named `<prefix>-7`.

    Args:
        ids: `int64`.
        prefix: What the dataset calls an advertisement.
        types: `string`.
    """
    return described(ids, pc.binary_join_element_wise(prefix, ids.cast(pa.string()), "-"), types)


def always(rows: int) -> pa.ChunkedArray:
    """A column of true: all of these rows were viewed."""
    return pa.chunked_array([pa.repeat(pa.scalar(True), rows)])


def described(ids: pa.ChunkedArray, names: pa.ChunkedArray, types: pa.ChunkedArray) -> pa.Table:
    """Records of `advertisements`.

    Args:
        ids: `int64`.
        names: `string`.
        types: `string`.
    """
    schema = load(ADVERTISEMENTS).arrow
    fields = list(schema.field("value").type)
    value = pa.StructArray.from_arrays([as_array(names), as_array(types.cast(pa.string()))], fields=fields)
    return pa.table([ids, value], schema=schema)


def keep(rows: pa.Table, good: pa.ChunkedArray, reason: str, column: str, rejected: Rejected) -> pa.Table:
    """The rows that keep a rule of the dataset; the others are told.

    Args:
        rows: Rows of a CSV file.
        good: Which of them keep the rule: `bool`.
        reason: What is wrong with the others.
        column: The column that shows it.
        rejected: Is told of the others.
    """
    bad = rows.filter(pc.invert(good))
    if bad.num_rows == 0:
        return rows
    rejected.note(reason, bad.num_rows, str(bad[column][0]))
    return rows.filter(good)


def in_periods(impressions: Iterable[pa.Table], period: int) -> Iterator[pa.Table]:
    """The same rows, one table a period in which there are any, each sorted by time.

    Rows go to one file a period first, so that no more than a period is in memory.

    Args:
        impressions: Tables of `IMPRESSIONS`, in any order.
        period: How long a period is, in ms.
    """
    with TemporaryDirectory(prefix="adstream-import-") as folder:
        for path in _spill(impressions, period, Path(folder)):
            with pa.OSFile(str(path)) as file:
                yield pa.ipc.open_stream(file).read_all().sort_by("time")
            path.unlink()


def _spill(impressions: Iterable[pa.Table], period: int, folder: Path) -> list[Path]:
    """Files of the rows of one period each, in the order of time."""
    writers: dict[int, pa.RecordBatchStreamWriter] = {}
    with ExitStack() as open_files:
        for table in impressions:
            number = table["time"].to_numpy() // period
            for found in np.unique(number).tolist():
                if found not in writers:
                    if len(writers) == MOST_PERIODS:
                        raise AdstreamError(
                            f"the rows cover more than {MOST_PERIODS} periods",
                            "choose a longer one, such as --period 30d",
                        )
                    sink = open_files.enter_context(pa.OSFile(str(folder / str(found)), "wb"))
                    writers[found] = open_files.enter_context(pa.ipc.new_stream(sink, IMPRESSIONS))
                writers[found].write_table(table.filter(pa.array(number == found)))
    return [folder / str(number) for number in sorted(writers)]


def _rows(kind: CsvKind, files: Iterable[Path], function: Rows, rejected: Rejected) -> Iterator[pa.Table]:
    for path in files:
        for rows in read_rows(path, kind, rejected):
            yield function(rows, rejected)
