"""Whether the bots among made-up people are found: precision and recall, by user."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from jobs.anomalies.report import subjects
from jobs.anomalies.rules import OF_USERS
from tests.bench.inputs import EVENTS_PER_USER, FOLDER
from tests.bench.sides import CORES

PREFIX = "bot-"
"""What the names of generated bots begin with."""


@dataclass(frozen=True)
class Found:
    """Who was found by some kinds of findings, as a line of the report.

    Attributes:
        what: Which kinds.
        users: The users that were found.
        bots: The bots that there are.
        seconds: How long the job ran.
        load: The load when it had.
        floor: The least precision and recall that is asked for; 0 for none.
    """

    what: str
    users: frozenset[str]
    bots: frozenset[str]
    seconds: float
    load: float
    floor: float = 0.0

    @property
    def precision(self) -> float:
        """The share of bots among those found; 1 where nobody was."""
        return len(self.users & self.bots) / len(self.users) if self.users else 1.0

    @property
    def recall(self) -> float:
        """The share of those found among the bots."""
        return len(self.users & self.bots) / len(self.bots)

    @property
    def met(self) -> bool:
        """Whether both are what is asked for."""
        return min(self.precision, self.recall) >= self.floor

    def cells(self) -> tuple[str, ...]:
        """The line."""
        result = f"precision {self.precision:.3f}, recall {self.recall:.3f}"
        asked = f">= {self.floor:g}" if self.floor else ""
        verdict = ("met" if self.met else "MISSED") if self.floor else ""
        ours = f"{len(self.users)} found, {len(self.bots)} bots"
        return (self.what, ours, "", result, asked, verdict, f"{self.seconds:.1f} s", f"{self.load:.1f}")


def find_bots(events: int, files: int, floor: float) -> list[Found]:
    """Runs the anomalies job with its defaults on the local engine, over a day with bots and all that goes wrong.

    Args:
        events: How many views and clicks.
        files: How many files each stream has.
        floor: The least precision and recall that is asked for of all kinds together.
    """
    source, output = FOLDER / "streams" / f"bots-{events}-{files}", FOLDER / "ours" / "anomalies"
    if not source.exists():
        staged = source.with_suffix(".new")
        shutil.rmtree(staged, ignore_errors=True)
        users = max(1, events // EVENTS_PER_USER)
        generate(GeneratorSettings(events=events, users=users, files=files), staged, "parquet")
        staged.rename(source)
    shutil.rmtree(output, ignore_errors=True)
    spec = JobSpec(
        job="anomalies",
        engine="local",
        mode="stream",
        input=str(source),
        output=str(output),
        checkpoint=str(output / "_checkpoint"),
        format="parquet",
        settings={"parallelism": CORES},
        until_caught_up=True,
        drain=True,
    )
    seconds = run(spec).seconds
    kind, subject = subjects(output)
    bots, load = _bots(source), os.getloadavg()[0]

    def found(what: str, kinds: tuple[str, ...], least: float) -> Found:
        of_kinds = subject.filter(pc.is_in(kind, value_set=pa.array(kinds)))
        return Found(what, frozenset(of_kinds.to_pylist()), bots, seconds, load, least)

    alone = [found(f"bots by {name}", (name,), 0.0) for name in OF_USERS]
    return [*alone, found("bots by any of them", OF_USERS, floor)]


def _bots(source: Path) -> frozenset[str]:
    """The bots that have views."""
    users = pa.concat_tables([pq.read_table(path, columns=["key"]) for path in (source / "ad-views").glob("*.parquet")])
    distinct = pc.unique(users["key"])
    return frozenset(distinct.filter(pc.fill_null(pc.starts_with(distinct, PREFIX), False)).to_pylist())
