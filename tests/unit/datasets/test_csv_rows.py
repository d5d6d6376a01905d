from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from common.datasets.csv_rows import CsvKind, Rejected, kind_of, read_rows
from common.errors import AdstreamError

SHOWN = CsvKind("shown.csv", ("time", "ad"), ("user",))
ADS = CsvKind("ads.csv", ("ad",), ("type",))


def write(folder: Path, content: bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def rows_of(path: Path) -> tuple[list[dict[str, object]], Rejected]:
    rejected = Rejected()
    tables = list(read_rows(path, SHOWN, rejected))
    assert all(table.schema.types == [pa.int64(), pa.int64(), pa.string()] for table in tables)
    return pa.concat_tables(tables).to_pylist(), rejected


def test_a_file_is_known_by_its_header(tmp_path: Path) -> None:
    assert kind_of(write(tmp_path, b"user,more,time,ad\n"), [SHOWN, ADS]) == SHOWN
    assert kind_of(write(tmp_path, b"ad,type\r\n1,x\r\n"), [SHOWN, ADS]) == ADS
    assert kind_of(write(tmp_path, b'\xef\xbb\xbf"ad", "type"\n'.replace(b" ", b"")), [SHOWN, ADS]) == ADS


def test_compressed_files_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"user,time,ad\na,1,2\n"), "x.csv.gz")
    assert kind_of(path, [SHOWN, ADS]) == SHOWN
    assert rows_of(path)[0] == [{"time": 1, "ad": 2, "user": "a"}]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"user,when,advert\n")
    with pytest.raises(AdstreamError, match=r"lacks the columns time, ad of shown.csv; it has user, when, advert"):
        kind_of(path, [SHOWN, ADS])
    with pytest.raises(AdstreamError, match=r"lacks the column type of ads\.csv"):
        kind_of(write(tmp_path, b"ad,price\n"), [SHOWN, ADS])


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="it has none"):
        kind_of(write(tmp_path, b""), [SHOWN, ADS])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match=r"can't read \S+none.csv \(No such file or directory\): give"):
        kind_of(tmp_path / "none.csv", [SHOWN, ADS])


def test_columns_may_be_in_any_order_with_others_between(tmp_path: Path) -> None:
    rows, rejected = rows_of(write(tmp_path, b"ad,more,user,time\n7,x,ann,5\n8,y,bob,6\n"))
    assert rows == [{"time": 5, "ad": 7, "user": "ann"}, {"time": 6, "ad": 8, "user": "bob"}]
    assert rejected.total == 0


@pytest.mark.parametrize(
    ("line", "reason", "example"),
    [
        (b"a,,1", "'time' is not a whole number", ""),
        (b"a,-5,1", "'time' is not a whole number", "-5"),
        (b"a,1.5,1", "'time' is not a whole number", "1.5"),
        (b"a,1,NULL", "'ad' is not a whole number", "NULL"),
        (b"a,1,9999999999999999999", "'ad' is not a whole number", "9999999999999999999"),
        (b"a,1,\xff", "'ad' is not a whole number", "\ufffd"),
        (b",1,1", "'user' is not text", ""),
        (b"\xff,1,1", "'user' is not text", "\ufffd"),
        (b"a,1", "2 columns and not 3", "a,1"),
        (b"a,1,1,1", "4 columns and not 3", "a,1,1,1"),
    ],
)
def test_bad_rows_are_counted_and_left_out(tmp_path: Path, line: bytes, reason: str, example: str) -> None:
    rows, rejected = rows_of(write(tmp_path, b"user,time,ad\na,1,2\n" + line + b"\n" + line + b"\nb,3,4\n"))
    assert [row["user"] for row in rows] == ["a", "b"]
    assert rejected.counts == {f"x.csv: {reason}": 2}
    assert rejected.examples == {f"x.csv: {reason}": example}
    assert rejected.total == 2


def test_a_row_that_is_wrong_twice_counts_once(tmp_path: Path) -> None:
    _, rejected = rows_of(write(tmp_path, b"user,time,ad\n,x,y\n"))
    assert rejected.total == 1


def test_a_file_cut_short_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"user,time,ad\n" + b"a,1,2\n" * 100_000)[:-200], "x.csv.gz")
    with pytest.raises(AdstreamError, match="can't be read as CSV"):
        rows_of(path)


def test_blanks_around_names_and_values_do_not_count(tmp_path: Path) -> None:
    path = write(tmp_path, b"user, time , ad\nann, 5, 7\n bob ,6 ,8\n , 1, 2\n")
    assert kind_of(path, [SHOWN, ADS]) == SHOWN
    rows, rejected = rows_of(path)
    assert rows == [{"time": 5, "ad": 7, "user": "ann"}, {"time": 6, "ad": 8, "user": "bob"}]
    assert rejected.counts == {"x.csv: 'user' is not text": 1}


def test_a_file_in_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="is not text in UTF-8"):
        kind_of(write(tmp_path, "user,time,ad\nann,5,7\n".encode("utf-16")), [SHOWN, ADS])
