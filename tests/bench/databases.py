"""A large table freed from a real PostgreSQL: by this suite, and by the JDBC reader of Spark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyarrow.parquet as pq

from common.services.stack import Stack
from common.setup.jars import jars
from common.setup.java import java_home
from tests.bench.inputs import FOLDER
from tests.bench.measure import ROOT
from tests.bench.sides import CORES, MEMORY

ROWS = 2_000_000
PAGES = 8
"""How many pages a step takes on an engine, so that few steps have to be started."""
OPTIONS = {"spark": ("--option", f"master=local[{CORES}]")}
TABLE = """CREATE TABLE advertisement (id bigint PRIMARY KEY, name text NOT NULL, type text NOT NULL,
 is_deleted boolean NOT NULL, updated_at timestamptz NOT NULL)"""
FILL = f"""INSERT INTO advertisement SELECT i, 'advertisement ' || i, 'Pets', i % 50 = 0, now()
 FROM generate_series(1, {ROWS}) AS i"""
INDEX = "CREATE INDEX ON advertisement (updated_at)"


@dataclass(frozen=True)
class Freeing:
    """A table freed, from the start of the process to its end.

    Attributes:
        what: By what.
        seconds: How long it took.
        native: How long the job by hand took.
        records: How many records there are.
        load: The machine's load average over the minute before.
    """

    what: str
    seconds: float
    native: float
    records: int
    load: float

    @property
    def met(self) -> bool:
        """Whether all rows are there."""
        return self.records == ROWS

    def cells(self) -> tuple[str, ...]:
        """The line."""
        rates = (f"{ROWS / seconds:,.0f}/s" for seconds in (self.seconds, self.native))
        verdict = "" if self.met else f"{self.records:,} RECORDS"
        return (self.what, *rates, f"{self.native / self.seconds:.2f}x", "", verdict, "", f"{self.load:.1f}")


def freed() -> Iterator[Freeing]:
    """Whole processes: one that reads page after page, two pages side by side, and the same on Spark and Beam."""
    with _table() as url:
        native, _, _ = _run(_by_hand(url), {"JAVA_HOME": str(java_home()), "PYSPARK_PYTHON": sys.executable})
        for engine, tasks in (("local", 1), ("local", CORES), ("spark", PAGES), ("beam", PAGES)):
            line = [sys.executable, "-m", "common.cli.main", "liberate", "advertisements", "--database", url]
            line += ["--engine", engine, "--tasks", str(tasks), "--format", "parquet"]
            seconds, output, load = _run([*line, *OPTIONS.get(engine, ()), "--output"], {})
            records = sum(pq.read_metadata(path).num_rows for path in (output / "advertisements").glob("*.parquet"))
            yield Freeing(f"{engine}, pages a step: {tasks}", seconds, native, records, load)


@contextmanager
def _table() -> Iterator[str]:
    """A database of the bench's own, with the table."""
    stack = Stack(FOLDER / "services")
    try:
        list(stack.up(["postgres"]))
        url = stack.endpoint("postgres", "url")
        with psycopg.connect(url, autocommit=True) as session:
            for statement in ("DROP TABLE IF EXISTS advertisement", TABLE, FILL, INDEX, "VACUUM ANALYZE advertisement"):
                session.execute(statement)
        yield url
    finally:
        list(stack.down())


def _by_hand(url: str) -> list[str]:
    parts = urlsplit(url)
    jdbc = f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}?user={parts.username}"
    driver = ",".join(map(str, jars("postgresql-jdbc")))
    line = [sys.executable, "-m", "tests.bench.natives.spark_jdbc", jdbc, "advertisement"]
    return [*line, str(ROWS), str(CORES), MEMORY, driver]


def _run(line: list[str], environment: Mapping[str, str]) -> tuple[float, Path, float]:
    """Runs a command with an output folder at its end; gives its seconds, that folder, and the load before it."""
    output = FOLDER / "freed"
    shutil.rmtree(output, ignore_errors=True)
    load, started = os.getloadavg()[0], time.monotonic()
    subprocess.run([*line, str(output)], cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True)
    return time.monotonic() - started, output, load
