"""What a job is given, and what it then has to write: by the oracle, or as the local engine answers undisturbed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from common.config.jobs import topology_of
from common.engines.launch import launch
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.streams.folder import Position
from common.topology.plan import compile_plan
from tests.conformance import folder
from tests.conformance.case import Case
from tests.conformance.job import Job as KnownJob
from tests.conformance.outcome import read_outcome
from tests.conformance.random_runs import random_case


class Work(Protocol):
    """A job, its input, and the right answer."""

    @property
    def job(self) -> str:
        """The job's name."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """The job's settings."""
        ...

    @property
    def steps(self) -> int:
        """How many steps its input makes, without the one that ends it."""
        ...

    def given(self, root: Path) -> str:
        """Puts the input below a folder; gives its address."""
        ...

    def wanted(self, root: Path) -> Counter[str]:
        """The records that it has to write, each with its step; work for it may be done below a folder."""
        ...

    def found(self, output: Path) -> Counter[str]:
        """The records that lie in an output folder, in the same words."""
        ...


@dataclass(frozen=True)
class Known:
    """Arrivals from a seed, with the answer of the job's oracle: disorder, late and repeated events, corrections."""

    case: Case

    @classmethod
    def drawn(cls, job: KnownJob, seed: int, steps: int, events: int) -> Known:
        """The arrivals of a seed; `events` a step on average."""
        return cls(random_case(seed, steps, events, job))

    @property
    def job(self) -> str:
        return self.case.job.name

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**self.case.job.settings, **self.case.settings}

    @property
    def steps(self) -> int:
        return len(self.case.steps)

    def given(self, root: Path) -> str:
        return str(folder.write(self.case, root, self.steps))

    def wanted(self, root: Path) -> Counter[str]:
        job, records = self.case.job, Counter[str]()
        for number, step in enumerate(self.case.steps):
            records.update(f"step {number}: {job.show_change(change)}" for change in step.out)
            records.update(f"step {number}: late {job.show_event(event)}" for event in step.late)
        records.update(f"step {self.steps}: {job.show_change(change)}" for change in self.case.end or ())
        return records

    def found(self, output: Path) -> Counter[str]:
        job, outcome, records = self.case.job, read_outcome(output, self.case.job), Counter[str]()
        for step, changes in outcome.changes.items():
            records.update(f"step {step}: {job.show_change(change)}" for change in changes)
        for step, late in outcome.late.items():
            records.update(f"step {step}: late {job.show_event(each.event)}" for each in late)
        return records


@dataclass(frozen=True)
class Own:
    """Any job over any folder of streams; right is what the local engine writes when nothing disturbs it."""

    job: str
    input: str
    settings: Mapping[str, Any]

    @property
    def steps(self) -> int:
        source = Run.open(self._spec("", "")).source
        position, steps = Position(), 0
        while (arrivals := source.next_step(position)) is not None:
            position, steps = arrivals.position, steps + 1
        return steps

    def given(self, root: Path) -> str:
        return self.input

    def wanted(self, root: Path) -> Counter[str]:
        launch(self._spec(str(root / "right"), str(root / "right-kept")), lambda _: None)
        return self.found(root / "right")

    def found(self, output: Path) -> Counter[str]:
        records = Counter[str]()
        for stream in compile_plan(topology_of(self.job, self._spec("", "").typed_settings())).sinks:
            for path in (output / stream).glob("*.jsonl"):
                step = path.name.partition(".")[0]
                records.update(f"step {int(step)}: {stream} {line}" for line in path.read_text().splitlines())
        return records

    def _spec(self, output: str, checkpoint: str) -> JobSpec:
        return JobSpec(
            self.job,
            "local",
            "stream",
            self.input,
            output,
            checkpoint,
            settings=self.settings,
            drain=True,
            until_caught_up=True,
        )
