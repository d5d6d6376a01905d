"""`adstream compare`: the same job on every engine, and whether the answers are the same."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from cyclopts import Parameter
from rich.table import Table

from common.cli.console import following, out, show_alarm
from common.cli.options import Config, Format, Input, Job, Set
from common.cli.request import Request, checked, clear, job_settings
from common.config.jobs import report_of
from common.contracts.contract import OPERATIONS, load
from common.engines.launch import launch
from common.engines.registry import ENGINES
from common.errors import ExitCode, UnavailableError
from common.names import pick
from common.runtime.run import Run
from common.streams.json_text import json_lines
from common.streams.materialise import digest, table
from common.tables.care import content
from common.tables.place import TablePlace

SHOWN_DIGITS = 16
SHOWN_CHARACTERS = 300
SHOWN_BEFORE = 100
"""How much of two long records is shown before the first character in which they differ."""


@dataclass(frozen=True)
class Variant:
    """One way to run a job.

    Attributes:
        engine: The engine.
        mode: `batch` or `stream`.
        options: The engine's options.
    """

    engine: str
    mode: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called in the table, and its folder: engine, mode, options."""
        return "-".join((self.engine, self.mode, *self.options.values()))


VARIANTS = (
    Variant("local", "batch"),
    Variant("local", "stream"),
    Variant("spark", "batch"),
    Variant("spark", "stream"),
    Variant("flink", "batch"),
    Variant("flink", "stream"),
    Variant("beam", "batch"),
    Variant("beam", "stream"),
    Variant("beam", "batch", {"runner": "Prism"}),
)


@dataclass(frozen=True)
class Answer:
    """What a variant gave.

    Attributes:
        variant: The variant.
        counts: What its output holds, as the job's report says.
        late: How many events were late.
        tables: The table that each stream of the answer leaves.
        seconds: How long it took, with its start-up.
    """

    variant: Variant
    counts: Mapping[str, int | str]
    late: int
    tables: Mapping[str, pa.Table]
    seconds: float

    @property
    def digest(self) -> str:
        """The hash of all tables."""
        return hashlib.sha256("".join(map(digest, self.tables.values())).encode()).hexdigest()


def compare(
    job: Job,
    /,
    *,
    input: Input,  # noqa: A002 the option's name
    engines: Annotated[str, Parameter(help="Engines to run, with commas in between; all if absent.")] = ",".join(
        ENGINES
    ),
    output: Annotated[Path | None, Parameter(help="Where to keep the outputs; nowhere if absent.")] = None,
    format: Format = "parquet",  # noqa: A002 the option's name
    config: Config = None,
    assignments: Set = (),
) -> int:
    """Run a job on every engine there is, and compare the answers; exit code 1 on any difference.

    A bounded run counts every event. A stream run that meets late events gives them to `late-events`
    instead: raise out_of_orderness or grace until none is late.

        adstream compare sessions --input ads
        adstream compare sessions --input ads --engines local,spark --set grace=2h --output compared
    """
    chosen = [pick("engine", name.strip(), ENGINES) for name in engines.split(",")]
    settings = job_settings(job, config, assignments).model_dump()
    answers: list[Answer] = []
    missing: dict[str, str] = {}
    with _folder(output) as folder:
        for variant in (variant for variant in VARIANTS if variant.engine in chosen):
            request = Request(
                job=job,
                engine=variant.engine,
                input=input,
                output=folder / variant.name,
                mode=variant.mode,
                format=format,
                settings=settings,
                drain=variant.mode == "stream",
                overwrite=True,
                options=variant.options,
            )
            try:
                answers.append(answer(variant, checked(request)))
            except UnavailableError as error:
                missing[variant.name] = str(error)
    show(answers, missing)
    return verdict(answers)


def answer(variant: Variant, run: Run) -> Answer:
    """Runs a variant, in the place of what was in its output before."""
    spec = run.spec
    output = Path(spec.output)
    plan = spec.plan()
    read = _rows if plan.tables else _records
    answered = (stream for stream in plan.sinks if load(stream).meta.namespace != OPERATIONS)
    started = time.monotonic()
    with following(variant.name) as watch:
        summary = launch(spec, watch, partial(clear, run))
    return Answer(
        variant=variant,
        counts=report_of(spec.job, output),
        late=summary.metrics.get("late", 0),
        tables={stream: read(output, stream) for stream in answered},
        seconds=time.monotonic() - started,
    )


def _rows(output: Path, stream: str) -> pa.Table:
    return content(TablePlace(str(output)), stream)


def _records(output: Path, stream: str) -> pa.Table:
    return table(output, stream, load(stream))


def show(answers: Sequence[Answer], missing: Mapping[str, str]) -> None:
    """Prints a line a variant."""
    counted = [name for name, value in answers[0].counts.items() if isinstance(value, int)] if answers else []
    lines = Table("engine", "mode", *counted, "late", "hash", "seconds", box=None)
    for found in answers:
        variant = found.variant
        engine = " ".join((variant.engine, *variant.options.values()))
        counts = [f"{found.counts.get(name, 0):,}" for name in counted]
        lines.add_row(
            engine, variant.mode, *counts, f"{found.late:,}", found.digest[:SHOWN_DIGITS], f"{found.seconds:.1f}"
        )
    out.print(lines)
    for name, reason in missing.items():
        out.print(f"{name}: not available ({reason})")


def verdict(answers: Sequence[Answer]) -> int:
    """Prints the first difference, if there is one; gives the exit code.

    Raises:
        AdstreamError: There are not two answers to compare.
    """
    if len(answers) < 2:
        raise UnavailableError(f"{len(answers)} answers can't be compared", "see 'adstream engines'")
    first = answers[0]
    for other in answers[1:]:
        if other.digest != first.digest:
            stream = differing(first, other)
            show_alarm("DIFFERENT:", f"{first.variant.name} and {other.variant.name}, in '{stream}'")
            out.print(first_difference(first, other))
            return ExitCode.DIFFERENT
    out.print(f"{len(answers)} runs, one answer")
    return ExitCode.OK


def differing(one: Answer, other: Answer) -> str:
    """The first stream in which two answers differ."""
    return next(stream for stream in one.tables if digest(one.tables[stream]) != digest(other.tables[stream]))


def first_difference(one: Answer, other: Answer) -> str:
    """What each of two answers has at the first place where they differ, in the order of the records' JSON texts."""
    stream = differing(one, other)
    note = f" ({other.late - one.late:+,} late events)" if one.late != other.late else ""
    named = ((each.variant.name, each.tables[stream]) for each in (one, other))
    return shown_difference(*named) + note


def shown_difference(one: tuple[str, pa.Table], other: tuple[str, pa.Table]) -> str:
    """What each of two tables, with their names, has at the first place where they differ, as `first_difference`."""
    ours, theirs = json_lines(one[1]), json_lines(other[1])
    both = min(len(ours), len(theirs))
    place = pc.index(pc.not_equal(ours[:both], theirs[:both]), True).as_py()
    place = both if place < 0 else place
    texts = [lines[place].as_py() if place < len(lines) else "" for lines in (ours, theirs)]
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False)))
    start = max(0, alike - SHOWN_BEFORE)
    return "\n".join(f"{name} has {_shown(text, start)}" for (name, _), text in zip((one, other), texts, strict=True))


def _shown(line: str, start: int) -> str:
    """What stands in a record from a place on; of a record that is not there, that there is none."""
    if not line:
        return "nothing more"
    stop = start + SHOWN_CHARACTERS
    return ("…" if start else "") + line[start:stop] + ("…" if stop < len(line) else "")


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """The folder of the outputs; one that does not outlive the comparison when none was named."""
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="adstream-compare-") as folder:
        yield Path(folder)
