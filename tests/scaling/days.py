"""Days of traffic: how many events come in each minute, as a multiple of what one task can do."""

from __future__ import annotations

import csv
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

MINUTES = 1440
SAMPLE = Path(__file__).parents[1] / "data" / "open-bandit" / "impressions.csv"


def evening(seed: int) -> list[float]:
    """Low at night, high in the evening, with noise."""
    rng = random.Random(seed)
    return [
        max(0.0, (3 - 2.6 * math.cos(2 * math.pi * (m - 240) / MINUTES)) * rng.gauss(1, 0.1)) for m in range(MINUTES)
    ]


def two_peaks(seed: int) -> list[float]:
    """Noon and evening."""
    rng = random.Random(seed)
    hill = lambda m, at, width: math.exp(-(((m - at) / width) ** 2))  # noqa: E731
    return [max(0.0, (0.5 + 3 * hill(m, 750, 80) + 5 * hill(m, 1230, 100)) * rng.gauss(1, 0.1)) for m in range(MINUTES)]


def bursts(seed: int) -> list[float]:
    """A steady load, with bursts of some minutes that are over before more tasks would help, and one that stays."""
    rng = random.Random(seed)
    day = [1.5 * rng.gauss(1, 0.1) for _ in range(MINUTES)]
    for _ in range(12):
        at = rng.randrange(MINUTES - 10)
        for minute in range(at, at + rng.randint(1, 4)):
            day[minute] += 2.0
    return [load + (4.0 if 600 <= minute < 720 else 0.0) for minute, load in enumerate(day)]


def around_an_edge(seed: int) -> list[float]:
    """A load that swings about what two tasks can do, slowly and quickly: what makes a careless policy flap."""
    rng = random.Random(seed)
    return [2 + 0.5 * math.sin(m / 7) + 0.3 * math.sin(m / 61) + rng.gauss(0, 0.1) for m in range(MINUTES)]


def recorded(seed: int) -> list[float]:
    """The hours of the bundled sample of a shop's impressions, so that its busiest hour takes six tasks."""
    with SAMPLE.open() as file:
        hours = Counter(int(row["timestamp_ms"]) // 3_600_000 % 24 for row in csv.DictReader(file))
    rng, most = random.Random(seed), max(hours.values())
    return [6 * hours[m // 60] / most * rng.gauss(1, 0.1) for m in range(MINUTES)]


DAYS: Mapping[str, Callable[[int], list[float]]] = MappingProxyType(
    {
        "evening": evening,
        "two peaks": two_peaks,
        "bursts": bursts,
        "around an edge": around_an_edge,
        "recorded": recorded,
    }
)
