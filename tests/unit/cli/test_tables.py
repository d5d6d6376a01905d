"""Landing streams, and looking after their tables, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from common.streams.sink import open_sink
from common.tables.place import TablePlace
from tests.unit.cli.conftest import Adstream

pytest.importorskip("deltalake")

STREAM = "advertisements"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Three steps of advertisements, landed."""
    folder = tmp_path / "in" / STREAM
    folder.mkdir(parents=True)
    steps = ({1: "a", 2: "b"}, {2: "B", 3: "c"}, {1: None})
    for number, rows in enumerate(steps):
        values = {key: None if name is None else {"name": name, "type": "Pets"} for key, name in rows.items()}
        lines = (json.dumps({"key": key, "value": value}) + "\n" for key, value in values.items())
        (folder / f"{number}.jsonl").write_text("".join(lines))
    output = tmp_path / "out"
    settings = {"streams": [STREAM], "buckets": 2}
    checkpoint = str(output / "_checkpoint")
    summary = run(
        JobSpec("land", "local", "stream", str(tmp_path / "in"), str(output), checkpoint, settings=settings, drain=True,
                until_caught_up=True)
    )  # fmt: skip
    assert summary.balanced and summary.metrics["landed"] == 5
    return output


def landing(root: Path) -> tuple[object, ...]:
    of = ("--set", f"streams={STREAM}", "--set", "buckets=2")
    return ("run", "land", "--engine", "local", "--input", root / "in", "--output", root / "out", *of)


def test_tables_are_shown_now_and_as_they_were(output: Path, adstream: Adstream) -> None:
    now = adstream("tables", "show", STREAM, "--output", output)
    assert now.out.split()[:3] == ["key", "name", "type"] and "2 rows in version 3" in now.out
    then = adstream("tables", "show", STREAM, "--output", output, "--version", 1)
    assert "2 rows in version 1" in then.out and " a " in then.out and " a " not in now.out
    asked = adstream("tables", "query", "SELECT sum(key) AS keys FROM advertisements", "--output", output)
    assert asked.out.split() == ["keys", "5"]


def test_their_history_tells_the_steps(output: Path, adstream: Adstream) -> None:
    said = adstream("tables", "history", STREAM, "--output", output)
    found = [line.split() for line in said.out.splitlines()[1:]]
    assert [line[2:4] for line in found[:3]] == [["MERGE", "2"], ["MERGE", "1"], ["MERGE", "0"]]
    assert "1 rows inserted, 1 rows updated" in said.out and "1 rows deleted" in said.out


def test_they_are_compacted_and_vacuumed(output: Path, adstream: Adstream) -> None:
    assert adstream("tables", "compact", "--output", output).code == 0
    told = adstream("tables", "vacuum", "--output", output, "--older-than", "0s", "--dry-run")
    done = adstream("tables", "vacuum", STREAM, "--output", output, "--older-than", "0s")
    assert told.out.splitlines()[-1].split() == done.out.splitlines()[-1].split()
    assert len(list((output / STREAM).glob("*.parquet"))) == 1
    assert "2 rows in version" in adstream("tables", "show", STREAM, "--output", output).out


def test_a_stream_in_deltas_format_is_not_compacted(tmp_path: Path, adstream: Adstream) -> None:
    contracts = {STREAM: load(STREAM)}
    sink = open_sink(tmp_path, "delta", contracts)
    with sink.writer("000000000", "p0") as writer:
        writer.write({STREAM: pa.Table.from_pylist([{"key": 1, "value": None}], contracts[STREAM].arrow)})
    sink.deliver("000000000", writer.parts)
    said = adstream("tables", "compact", "--output", tmp_path)
    line = f"table '{STREAM}' is a stream, and its files tell the order of its steps: leave it as it is, or keep"
    assert said.code == 2 and line in said.error


def test_in_batch_mode_tables_are_made_anew(output: Path, adstream: Adstream) -> None:
    again = adstream(*landing(output.parent))
    assert again.code == 2 and "of an earlier run: add --overwrite, or choose another --output" in again.err
    said = adstream(*landing(output.parent), "--overwrite")
    assert "5 records in = 3 landed + 2 superseded + 0 dead letters" in said.out
    assert "2 rows in version" in adstream("tables", "show", STREAM, "--output", output).out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("show", "advertisments"), "unknown table 'advertisments': did you mean 'advertisements'?"),
        (("show", STREAM, "--version", 9), "table 'advertisements' has no version 9: see 'adstream tables history'"),
        (("show", STREAM, "--at", "2001-01-31T12:00:00Z"), "was not there yet at 2001-01-31T12:00:00Z: see"),
        (("show", STREAM, "--at", "soon"), "'soon' is not a time: write it as 2026-01-31T12:00:00Z"),
        (("query", "SELECT nothing FROM advertisements"), "the query is refused ("),
        (("compact", "--size", 0), "--size is 0: give 1 or more MiB"),
        (("vacuum", "--older-than", "long"), "--older-than: 'long' is not a duration"),
        (("show", STREAM, "--rows", "-1"), "--rows is -1: give 0 or more"),
        (("show", STREAM, "--version", "1", "--at", "2026-01-31T12:00:00Z"), "give one of --version and --at"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    output: Path, adstream: Adstream, arguments: tuple[object, ...], line: str
) -> None:
    said = adstream("tables", *arguments, "--output", output)
    assert said.code == 2 and line in said.error


def test_a_folder_without_tables_is_named(tmp_path: Path, adstream: Adstream) -> None:
    for command in (("history", STREAM), ("compact",), ("vacuum",)):
        said = adstream("tables", *command, "--output", tmp_path)
        assert said.code == 2
        assert f"output '{tmp_path}' holds no tables: give the --output of a job that keeps tables" in said.error


def test_tables_do_not_go_to_a_broker(tmp_path: Path, adstream: Adstream) -> None:
    said = adstream(*landing(tmp_path), "--sink", "kafka://127.0.0.1:1")
    line = "sink 'kafka://127.0.0.1:1' is no place for tables: write postgresql://HOST:PORT/NAME or s3://BUCKET/PATH, or leave it out"
    assert said.code == 2 and line in said.error


def test_answers_in_tables_are_compared(output: Path, adstream: Adstream) -> None:
    of = ("--engines", "local", "--set", f"streams={STREAM}", "--set", "buckets=2")
    said = adstream("compare", "land", "--input", output.parent / "in", *of)
    assert said.code == 0 and "2 runs, one answer" in said.out


def test_each_table_is_opened_once_to_be_cared_for(
    output: Path, adstream: Adstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    opened = TablePlace.open

    def open_counted(place: TablePlace, name: str) -> object:
        asked.append(name)
        return opened(place, name)

    monkeypatch.setattr(TablePlace, "open", open_counted)
    for command in ("compact", "vacuum"):
        assert adstream("tables", command, "--output", output).code == 0
    assert asked.count(STREAM) == 2


def test_a_file_that_is_younger_than_was_asked_is_not_dropped(output: Path, adstream: Adstream) -> None:
    """Delta counts the age in hours."""
    assert adstream("tables", "compact", "--output", output).code == 0
    told = adstream("tables", "vacuum", "--output", output, "--older-than", "30m", "--dry-run")
    assert told.out.splitlines()[-1].split() == [STREAM, "0"]
