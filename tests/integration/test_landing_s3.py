"""Streams landed in Delta tables in a real object store: kills, writers side by side, its absence, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.engines.launch import launch, save_spec
from common.engines.registry import command, environment
from common.errors import AdstreamError, ExitCode
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.services.stack import Stack
from common.storage import below, storage_at
from common.streams.delta import delta_library
from common.tables import care
from common.tables.delta import DeltaTables
from common.tables.layout import Layout
from common.tables.place import TablePlace
from tests.integration.conftest import Adstream
from tests.integration.landing import (
    ENTITIES,
    EVENTS,
    FILES,
    PATIENCE_SECONDS,
    Arriving,
    arrivals,
    as_rows,
    check_every_version,
    landed,
    rows_of,
    spec_of,
)
from tests.running import each_engine
from tests.unit.streams.strategies import as_table
from tests.unit.tables.test_delta import ads, clicks, deliver, with_fields

pytestmark = pytest.mark.integration

ENGINES = each_engine(pytest.mark.recovery)
STEP = "000000000"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.timeout(900)
def test_tables_in_an_object_store_hold_each_row_once_and_every_version_is_true(
    engine: str, place: str, tmp_path: Path, adstream: Adstream
) -> None:
    landed(engine, tmp_path, place)
    check_every_version(TablePlace(place))
    assert not any((tmp_path / "out" / stream).exists() for stream in (EVENTS, ENTITIES))
    check_care(place, adstream)


def check_care(place: str, adstream: Adstream) -> None:
    """Checks the command line on tables in an object store, with all that a killed job left there."""
    rows = as_rows(arrivals(ENTITIES))
    shown = adstream("tables", "show", ENTITIES, "--output", place)
    assert shown.code == 0 and f"{rows.total()} rows in version" in shown.out
    asked = adstream("tables", "query", "SELECT count(*) AS n FROM ad_clicks", "--output", place)
    assert asked.out.split() == ["n", str(as_rows(arrivals(EVENTS)).total())]
    told = adstream("tables", "history", ENTITIES, "--output", place)
    assert sum(" MERGE " in line for line in told.out.splitlines()) == FILES
    compacted = adstream("tables", "compact", "--output", place)
    counts = {name: (int(before), int(after)) for name, before, after in map(str.split, compacted.out.splitlines()[1:])}
    assert counts[EVENTS][0] > counts[EVENTS][1]
    would = adstream("tables", "vacuum", "--output", place, "--older-than", "0s", "--dry-run")
    done = adstream("tables", "vacuum", "--output", place, "--older-than", "0s")
    assert done.code == 0
    assert [line.split() for line in would.out.splitlines()[1:]] == [line.split() for line in done.out.splitlines()[1:]]
    left = [file for file in storage_at(place).files(EVENTS) if file.endswith(".parquet") and "_delta_log" not in file]
    assert len(left) == counts[EVENTS][1]
    assert rows_of(care.whole(care.table(TablePlace(place), ENTITIES))) == rows


def sink_of(root: Path, place: str, *contracts: Any) -> DeltaTables:
    layouts = {contract.stream: Layout(contract) for contract in contracts or (load(ENTITIES),)}
    return DeltaTables(str(root), TablePlace(place), layouts)


def names(place: str) -> dict[int, str]:
    return {row["key"]: row["name"] for row in care.whole(care.table(TablePlace(place), ENTITIES)).to_pylist()}


def test_a_second_run_fences_the_first(place: str, tmp_path: Path) -> None:
    first, second = (sink_of(tmp_path / name, place) for name in ("a", "b"))
    first.recover(STEP)
    deliver(first, 0, (ENTITIES, ads(k1="a")))
    second.recover(STEP)
    deliver(second, 0, (ENTITIES, ads(k1="not taken: it has the step")))
    with pytest.raises(AdstreamError, match="another run has taken over: stop one of the two"):
        deliver(first, 1, (ENTITIES, ads(k1="b")))
    deliver(second, 1, (ENTITIES, ads(k1="c")))
    assert names(place) == {1: "c"}


def test_a_commit_can_not_be_made_beside_one_by_which_another_run_takes_over(place: str, tmp_path: Path) -> None:
    """The run before is fenced also where it has looked at the table already, and only its commit is missing."""
    first, second = (sink_of(tmp_path / name, place) for name in ("a", "b"))
    first.recover(STEP)
    deliver(first, 0, (ENTITIES, ads(k1="a")))
    taken = threading.Event()

    class Slow(TablePlace):
        def open(self, name: str) -> Any | None:
            found = super().open(name)
            if not taken.is_set():
                taken.set()
                second.recover(STEP)
            return found

    # The table is looked at once before the transaction, and once in it.
    late = replace(first, place=Slow(place))
    with pytest.raises(AdstreamError, match="another run has taken over"):
        deliver(late, 1, (ENTITIES, ads(k1="b")))
    assert names(place) == {1: "a"}


@pytest.mark.timeout(300)
def test_of_writers_of_one_step_one_is_heard(place: str, tmp_path: Path) -> None:
    sink = sink_of(tmp_path, place, load(EVENTS))
    sink.recover(STEP)
    writers, steps = 4, 5
    for step in range(steps):
        barrier = threading.Barrier(writers)

        def write(number: int, step: int = step, barrier: threading.Barrier = barrier) -> None:
            with sink.writer(f"{step:09d}", f"p{number}") as writer:
                writer.write({EVENTS: clicks(*range(10))})
            barrier.wait()
            sink.deliver(f"{step:09d}", writer.parts)

        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(write, range(writers)))
    opened = care.table(TablePlace(place), EVENTS)
    assert opened.count() == 10 * steps
    assert [found.step for found in care.history(opened) if found.step is not None] == list(reversed(range(steps)))


@pytest.mark.timeout(300)
def test_maintenance_beside_the_job_loses_nothing(place: str, tmp_path: Path) -> None:
    sink, ended, compacted = sink_of(tmp_path, place), threading.Event(), []
    sink.recover(STEP)
    deliver(sink, 0, (ENTITIES, ads(k0="0")))

    def maintain() -> None:
        while not ended.is_set():
            compacted.append(care.compact(care.table(TablePlace(place), ENTITIES), 2**20))

    expected = {0: "0"}
    with ThreadPoolExecutor(1) as pool:
        keeper = pool.submit(maintain)
        for step in range(1, 16):
            deliver(sink, step, (ENTITIES, ads(**{f"k{step % 7}": str(step), f"k{step}": str(step)})))
            expected |= {step % 7: str(step), step: str(step)}
        ended.set()
        keeper.result()
    history = list(care.history(care.table(TablePlace(place), ENTITIES)))
    assert names(place) == expected and compacted
    assert [found.step for found in history if found.step is not None] == list(range(15, -1, -1))


def test_a_new_field_becomes_a_column_and_another_type_is_refused(place: str, tmp_path: Path) -> None:
    old = load(ENTITIES)
    new = with_fields(old, {"name": "price", "type": ["null", "long"], "default": None})
    sink = sink_of(tmp_path, place, old)
    sink.recover(STEP)
    deliver(sink, 0, (ENTITIES, ads(k1="a", k2="b", k3="c")))
    records = as_table(new, [(2, {"name": "B", "type": "Pets", "price": 7}), (3, None)])
    deliver(sink_of(tmp_path, place, new), 1, (ENTITIES, records))
    rows = {row["key"]: row["price"] for row in care.whole(care.table(TablePlace(place), ENTITIES)).to_pylist()}
    assert rows == {1: None, 2: 7}
    other = with_fields(old, {"name": "name", "type": "long"})
    with pytest.raises(AdstreamError, match=r"column 'name': it is string, but int64 in the contract"):
        deliver(sink_of(tmp_path, place, other), 2, (ENTITIES, as_table(other, [(1, {"name": 1, "type": "Pets"})])))


@pytest.mark.timeout(600)
def test_a_job_taken_over_by_another_machine_ends_and_each_row_is_there_once(place: str, tmp_path: Path) -> None:
    source = tmp_path / "in"
    files, checkpoint = Arriving(source), below(place, "_checkpoint")
    files.come(20)

    def spec(machine: str) -> JobSpec:
        return replace(spec_of("local", str(source), tmp_path / machine, place), checkpoint=checkpoint)

    first = started(spec("a"))
    wait(lambda: Run.open(spec("a")).sink.delivered() >= 3, first)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(files.come, 2 * FILES, 0.05)
        time.sleep(1.0)
        second = started(spec("b"))
        _, err = first.communicate(timeout=PATIENCE_SECONDS)
        coming.result()
    assert first.returncode == ExitCode.REFUSED and "another run has taken over: stop one of the two" in err
    second.terminate()
    second.communicate(timeout=60)
    launch(replace(spec("b"), until_caught_up=True), lambda _: None)
    check_every_version(TablePlace(place))


@pytest.mark.timeout(600)
def test_an_object_store_that_is_restarted_in_the_middle_is_waited_for(
    services: Stack, place: str, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    files, spec = Arriving(source), spec_of("local", str(source), tmp_path, place)
    files.come(20)
    job = started(spec)
    wait(lambda: Run.open(spec).sink.delivered() >= 3, job)
    list(services.down(["s3"]))
    files.come(2 * FILES)
    time.sleep(3.0)
    list(services.up(["s3"]))
    wait(lambda: has_all(place), job)
    job.terminate()
    _, err = job.communicate(timeout=60)
    assert "trying again for up to 2m" in err and "it is served again after" in err
    check_every_version(TablePlace(place))


def started(spec: JobSpec) -> subprocess.Popen[str]:
    """The process of a run."""
    return subprocess.Popen(
        command(save_spec(spec), spec), env={**os.environ, **environment(spec)}, stderr=subprocess.PIPE, text=True
    )


def wait(reached: Any, job: subprocess.Popen[str]) -> None:
    """Waits until a running job has reached something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline and job.poll() is None
        time.sleep(0.5)


def has_all(place: str) -> bool:
    rows = {stream: care.content(TablePlace(place), stream) for stream in (EVENTS, ENTITIES)}
    return all(rows_of(found) == as_rows(arrivals(stream)) for stream, found in rows.items())


def landing(root: Path, place: str, *others: object) -> tuple[object, ...]:
    """The command line of a job that lands one file of advertisements."""
    folder = root / "in" / ENTITIES
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0.jsonl").write_text(json.dumps({"key": 1, "value": {"name": "a", "type": "Pets"}}) + "\n")
    into = ("--output", root / "out", "--sink", place, "--mode", "stream", "--until-caught-up")
    of = ("--set", "buckets=2", "--set", f"streams={ENTITIES}")
    return ("run", "land", "--engine", "local", "--input", root / "in", *into, *of, *others)


def test_tables_in_an_object_store_can_begin_anew(place: str, adstream: Adstream, tmp_path: Path) -> None:
    arguments = landing(tmp_path, place)
    assert adstream(*arguments).code == 0
    assert adstream(*arguments).code == 0
    assert adstream("reset", "land", "--output", tmp_path / "out", "--yes", "--outputs").code == 0
    assert storage_at(place).files(ENTITIES) == {}
    assert adstream(*arguments).code == 0
    (tmp_path / "out" / "_checkpoint" / "manifest.json").unlink()
    said = adstream(*arguments)
    assert said.code == 2 and "the sink has steps up to 0 of job 'land', but the checkpoint is at 0" in said.err
    assert adstream(*arguments, "--overwrite").code == 0
    assert names(place) == {1: "a"}


def test_what_somebody_else_has_there_is_never_touched(place: str, adstream: Adstream, tmp_path: Path) -> None:
    options = TablePlace(place).options
    uri = below(place, ENTITIES).partition("?")[0]
    delta_library().write_deltalake(uri, pa.table({"key": [7]}), storage_options=options)
    for others in ((), ("--overwrite",)):
        said = adstream(*landing(tmp_path, place, *others))
        assert said.code == 2 and "/advertisements' is not one that a job landed: move it, or choose" in said.err
    assert care.whole(care.table(TablePlace(place), ENTITIES)).to_pydict() == {"key": [7]}
    other = below(place, "other")
    storage_at(other).write(f"{ENTITIES}/notes.txt", b"mine")
    for others in ((), ("--overwrite",)):
        said = adstream(*landing(tmp_path, other, *others))
        assert said.code == 2 and "holds files that are not a Delta table: choose another --sink" in said.err
    assert storage_at(other).read(f"{ENTITIES}/notes.txt").to_pybytes() == b"mine"


def check_one_line(adstream: Adstream, root: Path, place: str, code: ExitCode, line: str) -> None:
    """Checks what both a job and a look at its tables say where they are not reached."""
    for arguments in (landing(root, place), ("tables", "show", ENTITIES, "--output", place)):
        said = adstream(*arguments)
        assert (said.code, len(said.err.splitlines())) == (code, 1), said.err
        assert line in said.err


def test_a_bucket_that_is_missing_is_named(place: str, adstream: Adstream, tmp_path: Path) -> None:
    there = place.replace("s3://ads/", "s3://no-such-bucket/")
    line = "can't be reached (NoSuchBucket: The specified bucket does not exist): make the bucket, or correct the URL"
    check_one_line(adstream, tmp_path, there, ExitCode.REFUSED, line)


@pytest.mark.usefixtures("place")
def test_an_object_store_that_is_away_is_named(adstream: Adstream, tmp_path: Path) -> None:
    away = "s3://ads/there?endpoint_override=127.0.0.1:9&scheme=http"
    check_one_line(adstream, tmp_path, away, ExitCode.UNAVAILABLE, "Connection refused")


def test_missing_credentials_are_named(
    place: str, adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    line = "there are no credentials for it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    check_one_line(adstream, tmp_path, place, ExitCode.REFUSED, line)


@pytest.mark.parametrize(
    ("key", "secret", "line"),
    [
        ("nobody", "right", "InvalidAccessKeyId"),
        ("writer", "wrong", "correct AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_wrong_credentials_are_named(
    guarded: str, adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, secret: str, line: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    check_one_line(adstream, tmp_path, guarded, ExitCode.REFUSED, line)
