"""Anybody's CSV files of views and clicks as streams: which column holds what is told, or guessed by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.datasets.csv_rows import CsvKind, Rejected, first_lines, header
from common.datasets.impressions import DAY, IMPRESSIONS, Dataset, Imported, described, import_dataset, keep
from common.datasets.output import FileFormat
from common.errors import AdstreamError
from common.names import nearest

USUAL: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "visitor", "visitorid", "customer", "customerid", "deviceid", "cookie"),
    "time": (
        "time",
        "timestamp",
        "ts",
        "eventtime",
        "createdeventtime",
        "createdat",
        "timestampms",
        "datetime",
        "date",
    ),
    "advertisement": (
        "advertisement",
        "advertisementid",
        "ad",
        "adid",
        "adgroupid",
        "itemid",
        "item",
        "creativeid",
        "banner",
        "bannerid",
    ),
    "clicked": ("clicked", "click", "clk", "isclick", "isclicked"),
    "action": ("action", "event", "eventtype", "eventname", "type", "kind"),
    "name": ("name", "title", "advertisementname", "adname", "itemname"),
    "type": ("type", "category", "categoryid", "cateid", "kind"),
}
"""What columns are usually called, in small letters and digits alone; the first that is there counts."""

DELIMITERS = ",;\t|"
YES, NO = ("1", "true", "t", "yes", "y"), ("0", "false", "f", "no", "n")
VIEW, CLICK = ("view", "views", "impression", "imp", "show", "shown"), ("click", "clicks", "clicked", "clk")

_SECONDS, _MILLISECONDS, _MICROSECONDS = r"^\d{1,11}$", r"^\d{12,14}$", r"^\d{15,17}$"
_MOMENT = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?$"
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""


@dataclass(frozen=True)
class Columns:
    """Which column holds what; one of `clicked` and `action` is empty.

    Attributes:
        user: Who it was.
        time: When: seconds, ms or us since 1970, or `2026-01-31 12:00:00`, in UTC where no zone is given.
        advertisement: Which advertisement; whole numbers.
        clicked: Whether what was shown was clicked: a row is a View, and a Click too when it says so.
        action: Whether a row is a View or a Click.
    """

    user: str
    time: str
    advertisement: str
    clicked: str = ""
    action: str = ""

    def __post_init__(self) -> None:
        _check_apart(self.roles)

    @classmethod
    def of(cls, names: Sequence[str], given: Mapping[str, str], where: Path) -> Columns:
        """The columns of a file.

        Args:
            names: The file's columns.
            given: The column of some of the attributes.
            where: The file, for messages.

        Raises:
            AdstreamError: A column is not there, or it is not plain which one it is.
        """
        found = {role: column_of(role, names, given, where) for role in ("user", "time", "advertisement")}
        if "clicked" not in given and "action" not in given:
            guess = next(((role, _usual(role, names)) for role in ("clicked", "action") if _usual(role, names)), None)
            if guess is None:
                raise AdstreamError(
                    f"{where} does not tell views from clicks by the name of a column; it has {', '.join(names)}",
                    "add --clicked COLUMN (1 where a view was clicked), or --action COLUMN (view or click)",
                )
            return cls(**found, **dict([guess]))
        marks = {role: column_of(role, names, given, where) for role in ("clicked", "action") if role in given}
        if len(marks) > 1:
            raise AdstreamError("--clicked and --action both tell views from clicks", "leave one of them out")
        return cls(**found, **marks)

    @property
    def mark(self) -> str:
        """The column that tells views from clicks."""
        return self.clicked or self.action

    @property
    def roles(self) -> dict[str, str]:
        """The column of each role."""
        mark = "clicked" if self.clicked else "action"
        return {"user": self.user, "time": self.time, "advertisement": self.advertisement, mark: self.mark}

    def shown(self) -> str:
        """Which column holds what, for people."""
        return ", ".join(f"{role}={column}" for role, column in self.roles.items())


@dataclass(frozen=True)
class Descriptions:
    """Which column of a file of advertisements holds what."""

    advertisement: str
    name: str
    type: str

    def __post_init__(self) -> None:
        _check_apart(asdict(self))


def import_csv(
    files: Sequence[Path],
    given: Mapping[str, str],
    advertisements: Path | None,
    output: Path,
    file_format: FileFormat = "jsonl",
    period: int = DAY,
) -> tuple[Imported, Columns]:
    """Makes `ad-views`, `ad-clicks` and, with a file of them, `advertisements`.

    Args:
        files: CSV files of views and clicks, with the same columns, in any order of rows.
        given: Which column holds what, where its name does not tell; the keys of `USUAL`.
        advertisements: A CSV file with id, name and type of each advertisement.
        output: The folder that gets a folder a stream.
        file_format: What the streams' files are.
        period: How much event time one file holds, in ms.

    Raises:
        AdstreamError: A column is not there or has two roles, no row can be used, or as `import_dataset`.
    """
    if not files:
        raise AdstreamError("no CSV file was named", "adstream import csv events.csv --output ads")
    delimiter = delimiter_of(files[0])
    columns = Columns.of(header(files[0], delimiter), given, files[0])
    kind = CsvKind(files[0].name, (columns.advertisement,), (columns.user, columns.time, columns.mark), delimiter)
    about, descriptions = _kind_of_advertisements(advertisements, given)

    def as_events(rows: pa.Table, rejected: Rejected) -> pa.Table:
        return events(rows, columns, rejected)

    def as_records(rows: pa.Table, rejected: Rejected) -> pa.Table:
        return described(rows[descriptions.advertisement], rows[descriptions.name], rows[descriptions.type])

    described_by = () if advertisements is None else (advertisements,)
    made = import_dataset(Dataset(kind, about, as_events, as_records), files, output, file_format, period, described_by)
    return made, columns


def events(rows: pa.Table, columns: Columns, rejected: Rejected) -> pa.Table:
    """Rows of a file as `IMPRESSIONS`; what has no time, or neither was a view nor a click, is told and left out."""
    times = times_of(rows[columns.time].combine_chunks())
    rows = rows.append_column("adstream time", times)
    rows = keep(rows, times.is_valid(), f"'{columns.time}' is no time", columns.time, rejected)
    mark = pc.utf8_lower(pc.utf8_trim_whitespace(rows[columns.mark]))
    viewed, clicked = (NO, YES) if columns.clicked else (VIEW, CLICK)
    known = pc.is_in(mark, pa.array([*viewed, *clicked]))
    what = "neither 1 nor 0" if columns.clicked else "neither view nor click"
    rows = keep(rows, known, f"'{columns.mark}' is {what}", columns.mark, rejected)
    mark = mark.filter(known)
    was_clicked = pc.is_in(mark, pa.array(clicked))
    was_viewed = pa.chunked_array([pa.repeat(True, rows.num_rows)]) if columns.clicked else pc.invert(was_clicked)
    parts = [rows[columns.user], rows["adstream time"], rows[columns.advertisement], was_viewed, was_clicked]
    return pa.table(parts, schema=IMPRESSIONS)


def times_of(texts: pa.Array) -> pa.Array:
    """Texts as `int64` epoch ms; null for what is none."""
    texts = pc.utf8_trim_whitespace(texts)
    ms = np.full(len(texts), -1, dtype=np.int64)
    for pattern, up, down in ((_SECONDS, 1_000, 1), (_MILLISECONDS, 1, 1), (_MICROSECONDS, 1, 1_000)):
        rows = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
        numbers = texts.filter(pa.array(rows)).cast(pa.int64()).to_numpy()
        ms[rows] = numbers * up // down
    rows = pc.match_substring_regex(texts, _MOMENT).to_numpy(zero_copy_only=False)
    ms[rows] = _moments(texts.filter(pa.array(rows)))
    return pa.array(ms, mask=(ms < 0) | (ms > _LAST_MS))


def delimiter_of(path: Path) -> str:
    """What stands between the columns of a file, by its header.

    Raises:
        AdstreamError: The file can't be read.
    """
    line = next(iter(first_lines(path)), "")
    return max(DELIMITERS, key=line.count)


def column_of(role: str, names: Sequence[str], given: Mapping[str, str], where: Path) -> str:
    """The column that holds something, as it was told, else by its name.

    Raises:
        AdstreamError: There is none.
    """
    if role in given:
        if given[role] not in names:
            raise AdstreamError(f"{where} has no column '{given[role]}'", nearest(given[role], names))
        return given[role]
    found = _usual(role, names)
    if not found:
        raise AdstreamError(
            f"{where} has no column that looks like the {role}; it has {', '.join(names) or 'none'}",
            f"say which it is: --{role} COLUMN",
        )
    return found


def _usual(role: str, names: Sequence[str]) -> str:
    """The column that is usually called so; empty for none."""
    plain = {"".join(c for c in name.lower() if c.isalnum()): name for name in reversed(names)}
    return next((plain[usual] for usual in USUAL[role] if usual in plain), "")


def _check_apart(roles: Mapping[str, str]) -> None:
    """Refuses a column that has two roles."""
    for column in filter(None, roles.values()):
        both = [role for role, of in roles.items() if of == column]
        if len(both) > 1:
            raise AdstreamError(
                f"column '{column}' can't be both {' and '.join(both)}", f"name another: --{both[-1]} COLUMN"
            )


def _kind_of_advertisements(path: Path | None, given: Mapping[str, str]) -> tuple[CsvKind, Descriptions]:
    if path is None:
        return CsvKind("advertisements", ()), Descriptions("", "", "")
    delimiter = delimiter_of(path)
    names = header(path, delimiter)
    told = {role: given[role] for role in ("name", "type") if role in given}
    if given.get("advertisement") in names:
        told["advertisement"] = given["advertisement"]
    elif not _usual("advertisement", names) and "id" in names:
        told["advertisement"] = "id"
    found = Descriptions(*(column_of(role, names, told, path) for role in ("advertisement", "name", "type")))
    return CsvKind(path.name, (found.advertisement,), (found.name, found.type), delimiter), found


def _moments(texts: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """ISO texts as epoch ms; -1 for a day or time that there is not."""
    zoned = pc.match_substring_regex(texts, r"(Z|[+-]\d\d:\d\d)$")
    texts = pc.if_else(zoned, texts, pc.binary_join_element_wise(texts, "Z", ""))
    try:
        ms = pc.floor_temporal(texts.cast(pa.timestamp("us", "UTC")), unit="millisecond")
        found: np.ndarray[tuple[int], np.dtype[np.int64]] = (
            ms.cast(pa.timestamp("ms", "UTC")).view(pa.int64()).to_numpy()
        )
    except pa.ArrowInvalid:
        return np.array([_moment(text) for text in texts.to_pylist()], dtype=np.int64)
    return found


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return -1
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
