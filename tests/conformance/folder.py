"""Writes a case's arrivals as the folder of streams that the suite reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.case import BETWEEN_STEPS, Case, Step

FIRST_STEP = 1_767_225_600_000
"""When the first step arrives, in epoch ms."""


def write(case: Case, root: Path, steps: int) -> Path:
    """Writes the first steps of a case: a file of each stream for each step, in JSON lines.

    A stream without events in a step has an empty file: the step is one without events.

    Args:
        case: The case.
        root: The input folder; made when needed.
        steps: How many of the case's steps have arrived.
    """
    for stream in case.job.sources:
        (root / stream).mkdir(parents=True, exist_ok=True)
        for number, step in enumerate(case.steps[:steps]):
            path = root / stream / file_name(number)
            path.write_bytes(b"".join(_lines(case, step, stream)))
            arrived = (FIRST_STEP + number * BETWEEN_STEPS) / 1000
            os.utime(path, (arrived, arrived))
    return root


def file_name(step: int) -> str:
    """The name of a step's files; names sort as steps do."""
    return f"{step:04d}.jsonl"


def _lines(case: Case, step: Step, stream: str) -> Iterator[bytes]:
    """Raw lines come first: what stops at a bad one misses the good ones, and their offsets are their places."""
    for raw in step.raw.get(stream, ()):
        yield raw + b"\n"
    for event in case.arrivals(step):
        arrives_on, line = case.job.record(event)
        if arrives_on == stream:
            yield line + b"\n"
