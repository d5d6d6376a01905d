"""The two sides of a comparison: the suite's job, and the one that was written by hand."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any, TypeVar

from common.engines import registry
from common.runtime.spec import JobSpec, Mode
from tests.bench import answers
from tests.bench.inputs import FOLDER, Input
from tests.bench.measure import Measured, measured
from tests.bench.natives.order import Order

CORES = 2
TIMES = 3
"""How often a process runs its job: the last time it is warm."""
MEMORY = "2g"
RESULT = "runs.json"
T = TypeVar("T")


@dataclass(frozen=True)
class Side:
    """What one side did with an input.

    Attributes:
        given: The input.
        measured: What it cost.
        output: What its last run wrote, until the next process of that side empties it.
        read: Hashes the answer in an output.
    """

    given: Input
    measured: Measured
    output: Path
    read: Callable[[Path], str]

    @cached_property
    def answer(self) -> str:
        """A hash of what it says in the end; to be asked for before the output is gone."""
        return self.read(self.output)

    @property
    def rate(self) -> float:
        """Events a second, of the whole last run."""
        return self.given.events / self.measured.runs.seconds[-1]

    @property
    def step_rate(self) -> float:
        """Events a second, of the micro-batches of the last run but those that fill a table, or the first."""
        return (self.given.events - self.given.first) / sum(self._counted(self.measured.runs.steps[-1]))

    @property
    def step_seconds(self) -> float:
        """How long such a micro-batch took: the median."""
        return median(self._counted(self.measured.runs.steps[-1]))

    @property
    def step_bytes(self) -> float:
        """How much state such a micro-batch wrote: the mean."""
        return fmean(self._counted(self.measured.runs.written))

    @property
    def event_seconds(self) -> float:
        """What an event of such micro-batches took of the processor."""
        return sum(self._counted(self.measured.runs.processor)) / (self.given.events - self.given.first)

    @property
    def load_seconds(self) -> float:
        """How long all else took."""
        return self.measured.runs.seconds[-1] - sum(self._counted(self.measured.runs.steps[-1]))

    def _counted(self, steps: Sequence[T]) -> Sequence[T]:
        """Of all micro-batches but the first, those that don't fill a table."""
        return steps[self.given.loads - 1 :]


@dataclass(frozen=True)
class Native:
    """A job written by hand.

    Attributes:
        name: Its module in `natives`.
        options: What it takes.
        environment: What its process needs over this one's environment.
        python: What runs it.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable


def ours(engine: str, mode: Mode, given: Input, times: int = TIMES) -> Side:
    """The suite's job with its default settings; in `stream` mode it stops when it has caught up, and is not drained.

    Args:
        engine: The engine.
        mode: The mode.
        given: What to read.
        times: How often to run.
    """
    output = _emptied(FOLDER / "ours" / f"{engine}-{mode}")
    spec = JobSpec(
        job=given.job,
        engine=engine,
        mode=mode,
        input=str(given.source),
        output=str(output),
        checkpoint=str(output / "_checkpoint"),
        format="parquet",
        settings={"parallelism": CORES},
        until_caught_up=mode == "stream",
    )
    spec_path, result = output / "spec.json", output / RESULT
    spec.save(spec_path)
    command = [*_again(registry.command(spec_path, spec)), str(spec_path), str(result), str(times)]
    cost = measured(command, registry.environment(spec), result)
    return Side(given, cost, output / str(times - 1), answers.OURS[given.job])


def by_hand(native: Native, given: Input, times: int = TIMES) -> Side:
    """A native job.

    Args:
        native: Which.
        given: What to read.
        times: How often to run.
    """
    output = _emptied(FOLDER / "natives" / native.name)
    order = Order(given.source, output, output / RESULT, times, dict(native.options))
    command = [native.python, "-m", f"tests.bench.natives.{native.name}", order.to_json()]
    cost = measured(command, native.environment, order.result)
    return Side(given, cost, output / str(times - 1), answers.NATIVE[given.job])


def _again(command: list[str]) -> list[str]:
    """An engine's command with `again` in the place of its main module, and without the spec."""
    if command[-3] == "-m":
        return [*command[:-2], "tests.bench.again"]
    return [*command[:-2], str(Path(__file__).with_name("again.py"))]


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
