"""What is measured, a part an engine; each part gives the lines of the report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from common.engines import registry
from common.engines.flink import submit as flink_submit
from common.runtime.spec import JobSpec
from common.setup.jars import jars
from common.setup.java import java_home
from tests.bench.bots import find_bots
from tests.bench.catalogue import Catalogue
from tests.bench.databases import freed
from tests.bench.inputs import FOLDER, Input, made
from tests.bench.kept import Kept
from tests.bench.live import broker, followed
from tests.bench.measure import ROOT
from tests.bench.merged import Merged
from tests.bench.report import GIB, Checkpointing, Growth, Line, Merging, Peak, Speed, Start, TableGrowth
from tests.bench.sides import CORES, MEMORY, Native, by_hand, ours

EVENTS, FILES = 2_000_000, 5
FEW_EVENTS = 100_000
"""What plain Beam gets: it would take minutes for more."""
SMALL, LARGE, LARGE_FILES = 1_000_000, 10_000_000, 25
TINY = 1_000
BOT_FILES = 20
DELAY = "31 minutes"
"""The native stream's watermark delay: the suite's default out-of-orderness and grace together."""
WHOLE_INPUT_HOURS = 96
TABLES = (10_000, 1_000_000, 10_000_000)
"""How many advertisements there are beside the events of `growth`."""
STEPS, STEP_SESSIONS, STEP_CHANGES = 30, 4_000, 1_000
GROWTH = 1.5
ENGAGEMENTS = Catalogue(10_000, files=5, sessions=40_000)
OPEN = (10_000, 100_000, 500_000, 2_000_000)
"""How many sessions are open in `checkpoints`."""
MERGED = (10_000, 100_000, 1_000_000)
"""How many rows the table has in `merges`."""
MERGE_LIMIT = 1.5
FOLLOWING = ("local", "spark", "flink")
"""The engines that can follow a stream."""


def local() -> Iterator[Line]:
    """The local engine against DuckDB and Polars, Parquet to Parquet."""
    given = made(EVENTS, FILES)
    suite = ours("local", "batch", given)
    duckdb = Native("duckdb", {"threads": CORES})
    polars = Native("polars", environment={"POLARS_MAX_THREADS": str(CORES)})
    yield Speed("local batch, DuckDB", suite, by_hand(duckdb, given), floor=1.0, aim=1.0)
    yield Speed("local batch, Polars", suite, by_hand(polars, given), floor=0.0, aim=1.0)


def spark_batch() -> Iterator[Line]:
    """The Spark engine in batch mode against `session_window`."""
    given = made(EVENTS, FILES)
    yield Speed("Spark batch, session_window", ours("spark", "batch", given), by_hand(_spark(), given), 2.0, 3.0)


def spark_stream() -> Iterator[Line]:
    """The Spark engine in stream mode, grace on, against `session_window`."""
    given = made(EVENTS, FILES)
    native = by_hand(_spark(delay=DELAY), given)
    yield Speed("Spark stream, session_window", ours("spark", "stream", given), native, 1.5, 3.0, steps=True)


def flink() -> Iterator[Line]:
    """The Flink engine in both modes against the SQL SESSION window."""
    given = made(EVENTS, FILES)
    native = by_hand(_flink("flink", given, delay=WHOLE_INPUT_HOURS), given, times=2)
    yield Speed("Flink stream, SQL SESSION", ours("flink", "stream", given, times=2), native, 1.0, 2.0)
    yield Speed("Flink batch, SQL SESSION", ours("flink", "batch", given, times=2), native, 1.0, 2.0)


def beam() -> Iterator[Line]:
    """The Beam engine on FnApi, bounded, against Sessions windows; theirs on fewer events, as a rate."""
    native = by_hand(Native("beam"), made(FEW_EVENTS, FILES), times=1)
    yield Speed("Beam batch, Sessions (100,000)", ours("beam", "batch", made(EVENTS, FILES)), native, 20.0, 20.0)


def scale() -> Iterator[Line]:
    """Ten times the events: memory, and the cost of an event."""
    for engine, limit in (("local", 2 * GIB), ("spark", 6 * GIB)):
        small = ours(engine, "batch", made(SMALL, FILES), times=2)
        large = ours(engine, "batch", made(LARGE, LARGE_FILES), times=2)
        yield Peak(f"{engine} batch, 10 M events", large, limit)
        yield Growth(f"{engine} batch, 1 M to 10 M events", small, large, 1.3)


def anomalies() -> Iterator[Line]:
    """The bots of made-up traffic, found by the anomalies job on the local engine."""
    yield from find_bots(EVENTS, BOT_FILES, floor=0.9)


def growth() -> Iterator[Line]:
    """What an event of the engagements job costs beside tables of some thousand and of millions of advertisements."""
    small, *larger = (Catalogue(many, STEPS, STEP_SESSIONS, STEP_CHANGES) for many in TABLES)
    least = ours("local", "stream", small.made(), times=1)
    yield TableGrowth(f"{small.advertisements:,} advertisements", least, least, GROWTH)
    for table in larger:
        side = ours("local", "stream", table.made(), times=1)
        yield TableGrowth(f"{table.advertisements:,} advertisements", least, side, GROWTH)


def engagements() -> Iterator[Line]:
    """The engagements job on each engine; local and Beam, too, against the SQL of Flink."""
    given = ENGAGEMENTS.made()
    native = by_hand(_flink("flink_engagements", given), given, times=2)
    for engine, mode in (("local", "stream"), ("flink", "stream"), ("beam", "batch")):
        yield Speed(f"{engine} {mode}, Flink SQL join", ours(engine, mode, given, times=2), native, 0.0, 1.0)
    delta = ",".join(str(jar) for jar in jars("spark-delta") if jar.name.startswith("delta-"))
    merge = by_hand(_spark("spark_engagements", jars=delta), given, times=2)
    yield Speed("spark stream, Delta MERGE", ours("spark", "stream", given, times=2), merge, 0.0, 1.0, steps=True)


def start() -> Iterator[Line]:
    """Every engine with next to nothing to do."""
    for engine in registry.ENGINES:
        yield Start(f"{engine}, 1,000 events, start to end", ours(engine, "batch", made(TINY, 1), times=1))


def latency() -> Iterator[Line]:
    """How long a session that has closed takes to the output topic; Beam can't follow a stream."""
    with broker() as address:
        for engine in FOLLOWING:
            yield followed(engine, address)


def checkpoints() -> Iterator[Line]:
    """The checkpoint of the local engine, by how many sessions are open."""
    for sessions in OPEN:
        folder = FOLDER / "kept" / str(sessions)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        load, result = os.getloadavg()[0], folder / "kept.json"
        line = [sys.executable, "-m", "tests.bench.kept", str(sessions), str(folder), str(result)]
        subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
        yield Checkpointing(Kept.load(result), load)
        shutil.rmtree(folder)


def merges() -> Iterator[Line]:
    """A step that upserts into a Delta table, by how large that is, against the merge by hand."""
    for rows in MERGED:
        folder = FOLDER / "merged" / str(rows)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        load, result = os.getloadavg()[0], folder / "merged.json"
        line = [sys.executable, "-m", "tests.bench.merged", str(rows), str(folder), str(result)]
        subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
        yield Merging(Merged.load(result), load, MERGE_LIMIT)
        shutil.rmtree(folder)


def _spark(name: str = "spark", **options: str) -> Native:
    environment = {"JAVA_HOME": str(java_home()), "PYSPARK_PYTHON": sys.executable}
    return Native(name, {"tasks": CORES, "memory": MEMORY, **options}, environment)


def _flink(name: str, given: Input, **options: int) -> Native:
    spec = JobSpec(given.job, "flink", "stream", "", str(given.source.parent / "flink"), "")
    parquet = ";".join(jar.as_uri() for jar in jars("flink-sql-parquet"))
    options_of_all = {"tasks": CORES, "jars": parquet}
    return Native(name, {**options_of_all, **options}, registry.environment(spec), str(flink_submit.PYTHON))


PARTS: Mapping[str, Callable[[], Iterator[Line]]] = MappingProxyType(
    {
        "local": local,
        "spark-batch": spark_batch,
        "spark-stream": spark_stream,
        "flink": flink,
        "beam": beam,
        "scale": scale,
        "growth": growth,
        "engagements": engagements,
        "start": start,
        "anomalies": anomalies,
        "latency": latency,
        "checkpoints": checkpoints,
        "merges": merges,
        "liberation": freed,
    }
)
