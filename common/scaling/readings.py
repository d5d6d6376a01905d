"""Readings of a job that runs, from what it leaves after each step and from its input."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from common.operators.step import BEGINNING, END
from common.runtime.checkpoint import SCHEMAS
from common.runtime.metrics import Metrics
from common.runtime.spec import JobSpec
from common.scaling.policy import Reading
from common.streams.folder import Position
from common.streams.source import BROKER, open_unplanned


@dataclass(frozen=True)
class Glance:
    """What a job's numbers were when it was looked at.

    Attributes:
        at: When, in epoch ms.
        busy_seconds: How long the job had been busy until then, since its first step.
    """

    at: int
    busy_seconds: float


def read(spec: JobSpec, before: Glance | None, now: int) -> tuple[Glance, Reading]:
    """Looks at a job.

    Args:
        spec: Its last run.
        before: What was seen the last time; None if it never was.
        now: The wall clock, in epoch ms.

    Raises:
        AdstreamError: Its input can't be asked.
    """
    metrics = Metrics.load(spec.workplace)
    glance = Glance(now, metrics.busy_seconds)
    lag = _lag(spec, metrics.position, now)
    return glance, Reading(
        at=now,
        parallelism=spec.parallelism,
        lag=lag,
        delay=0 if metrics.watermark in (BEGINNING, END) else max(0, now - metrics.watermark),
        busy=_busy(before, glance, metrics.completed, lag),
    )


def _busy(before: Glance | None, glance: Glance, completed: int, lag: int) -> float:
    """The share of the time since the last look; all of it for a job that has records and completes nothing."""
    if before is None or glance.at <= before.at:
        return 1.0  # nothing is known: no reason to have fewer tasks
    if lag and completed < before.at:
        return 1.0
    seconds = max(glance.busy_seconds - before.busy_seconds, 0.0)
    return min(1.0, 1000 * seconds / (glance.at - before.at))


def _lag(spec: JobSpec, position: Position, now: int) -> int:
    """How long the next record that the job will take has waited, in ms."""
    streams = spec.plan().sources
    if spec.input.startswith(BROKER):
        # Only a job on a broker needs its client, which not every installation has.
        waiting: int = import_module("common.scaling.broker").waiting(spec, streams, position)
        return waiting
    source = open_unplanned(spec.input, streams, spec.workplace / SCHEMAS)
    arrivals = source.next_step(position)
    return 0 if arrivals is None else max(0, now - arrivals.arrived)
