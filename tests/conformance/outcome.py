"""What an engine gave for a case, read from its output folder.

The kit reads JSON lines itself, so that an error of the suite's reader can't hide one of its writer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from common.engines.entry import Failure
from common.runtime.run import BATCH
from common.runtime.summary import SUMMARY, Summary
from tests.conformance.job import Change, Job


class Late(NamedTuple):
    """A record of `late-events`."""

    event: Any
    watermark: int


class Dead(NamedTuple):
    """A record of `dead-letters`; `partition` is the name of the file."""

    stream: str
    partition: str
    offset: int
    raw: bytes
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        changes: The records of the job's outputs, by step, in the order of the files; those of ticks left out.
        late: The records of `late-events`, by step.
        dead: The records of `dead-letters`, by step.
        summary: What the last run said; None if it failed.
        failure: Why a run failed; None if none did.
    """

    changes: Mapping[int, list[Change]]
    late: Mapping[int, list[Late]]
    dead: Mapping[int, list[Dead]]
    summary: Summary | None
    failure: Failure | None

    def at(self, step: int) -> tuple[list[Change], list[Late], list[Dead]]:
        """What a step wrote."""
        return self.changes.get(step, []), self.late.get(step, []), self.dead.get(step, [])

    @property
    def steps(self) -> set[int]:
        """The steps that wrote something."""
        return {step for written in (self.changes, self.late, self.dead) for step in written if written[step]}


def read_outcome(output: Path, job: Job) -> Outcome:
    """Reads an output folder in JSON lines; a batch run is step 0."""
    changes: dict[int, list[Change]] = defaultdict(list)
    late: dict[int, list[Late]] = defaultdict(list)
    dead: dict[int, list[Dead]] = defaultdict(list)
    for stream in job.outputs:
        for step, record in _records(output / stream):
            change = job.read(stream, record)
            if change is not None:
                changes[step].append(change)
    for step, record in _records(output / "late-events"):
        late[step].append(Late(job.read_late(record), record["value"]["watermark"]))
    for step, record in _records(output / "dead-letters"):
        dead[step].append(_dead(record["value"]))
    return Outcome(
        changes=changes,
        late=late,
        dead=dead,
        summary=Summary.load(output) if (output / SUMMARY).exists() else None,
        failure=Failure.load(output),
    )


def _records(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for path in sorted(folder.glob("*.jsonl")):
        name = path.name.partition(".")[0]
        step = 0 if name == BATCH else int(name)
        for line in path.read_text(encoding="utf-8").splitlines():
            yield step, json.loads(line)


def _dead(value: dict[str, Any]) -> Dead:
    partition = Path(value["partition"]).name
    return Dead(value["stream"], partition, value["offset"], value["raw"].encode("latin-1"), value["reason"])
